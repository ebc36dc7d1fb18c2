import type { CorrelationDefinition, StepSource } from '@tracehound/sigma';
import { describe, expect, it } from 'vitest';
import { correlationOf } from '../oracle/definitions.ts';
import { type ChainRule, everyHits, finalAlerts, finalsOfRuleSet, type OracleEvent } from '../oracle/index.ts';

/**
 * Tumbling and session windows, the modes reset and every, expect, and chains: worked out by hand from sections 5 to 8
 * of docs/design/correlation-semantics.md. Seconds after a midnight; spans 10 s unless said; `[first, last, ids]`.
 */
const MIDNIGHT_MS = 20_000 * 86_400_000;
const second = (value: number): number => MIDNIGHT_MS + value * 1000;

function at(seconds: number, id: string, extra: Partial<OracleEvent> = {}): OracleEvent {
  return { organization: 'acme', group: '["s:g"]', id, timeMs: second(seconds), step: 0, value: null, ...extra };
}

type Parts = Parameters<typeof correlationOf>[0];
function rule(parts: Partial<Parts> & Pick<Parts, 'type'>): CorrelationDefinition {
  return correlationOf({ spanMs: 10_000, ...parts });
}
const bound = (relation: 'lt' | 'lte' | 'gte' | 'eq', value: number) => [{ relation, value }] as const;

function lines(definition: CorrelationDefinition, events: readonly OracleEvent[]): unknown[] {
  return finalAlerts(definition, events).map(({ firstAtMs, lastAtMs, eventIds }) => [
    (firstAtMs - MIDNIGHT_MS) / 1000,
    (lastAtMs - MIDNIGHT_MS) / 1000,
    eventIds.join(' '),
  ]);
}

describe('tumbling windows', () => {
  const window = { kind: 'tumbling' } as const;

  it('window k is [k span, (k + 1) span): a pair across the border does not fire', () => {
    const two = rule({ type: 'event_count', window, bounds: bound('gte', 2) });
    expect(lines(two, [at(9, 'a'), at(10, 'b')])).toEqual([]);
    expect(lines(two, [at(0, 'a'), at(9.999, 'b')])).toEqual([[0, 9.999, 'a b']]);
    // One final per window; the first two are evidence.
    expect(lines(two, [at(11, 'a'), at(12, 'b'), at(13, 'c'), at(21, 'd'), at(22, 'e')])).toEqual([
      [11, 19.999, 'a b'],
      [21, 29.999, 'd e'],
    ]);
  });

  it('value_count: per value its first hit up to the time at which c holds', () => {
    const two = rule({ type: 'value_count', window, bounds: bound('gte', 2) });
    const hits = [at(1, 'a', { value: 'x' }), at(2, 'b', { value: 'x' }), at(3, 'c', { value: 'y' })];
    expect(lines(two, [...hits, at(4, 'd', { value: 'z' })])).toEqual([[1, 9.999, 'a c']]);
  });

  it('P6 lt fires at the end of the window, not on the first event', () => {
    const few = rule({ type: 'event_count', window, bounds: bound('lt', 3) });
    expect(lines(few, [at(1, 'a'), at(2, 'b')])).toEqual([[1, 9.999, 'a b']]);
    expect(lines(few, [at(1, 'a'), at(2, 'b'), at(9, 'c')])).toEqual([]);
  });

  it('a and not b looks both ways inside the window, and needs a positive', () => {
    const not = { op: 'not', of: { op: 'step', step: 1 } } as const;
    const lonely = rule({ type: 'temporal', window, temporal: { op: 'and', of: [{ op: 'step', step: 0 }, not] } });
    expect(lines(lonely, [at(1, 'b', { step: 1 }), at(2, 'a')])).toEqual([]);
    expect(lines(lonely, [at(2, 'a')])).toEqual([[2, 9.999, 'a']]);
    expect(lines(lonely, [at(2, 'x', { step: 2 })])).toEqual([]);
  });
});

describe('session windows', () => {
  const session = (gap: number) => ({ kind: 'session', gapMs: gap * 1000 }) as const;

  it('ends after the gap, 1 ms more begins another', () => {
    const two = rule({ type: 'event_count', window: session(3), bounds: bound('gte', 2) });
    expect(lines(two, [at(0, 'a'), at(3, 'b'), at(6, 'c')])).toEqual([[0, 6, 'a b']]);
    expect(lines(two, [at(0, 'a'), at(3.001, 'b')])).toEqual([]);
  });

  it('is no longer than the span, inclusive', () => {
    const four = rule({ type: 'event_count', window: session(5), bounds: bound('gte', 4) });
    // 0, 5, 10 are one session (10 - 0 = span); 10.001 begins the next.
    expect(lines(four, [at(0, 'a'), at(5, 'b'), at(9, 'c'), at(10, 'd')])).toEqual([[0, 10, 'a b c d']]);
    expect(lines(four, [at(0, 'a'), at(5, 'b'), at(9, 'c'), at(10.001, 'd')])).toEqual([]);
  });

  it('negated hits neither begin nor prolong one, and count only inside', () => {
    const not = { op: 'not', of: { op: 'step', step: 1 } } as const;
    const window = session(3);
    const lonely = rule({ type: 'temporal', window, temporal: { op: 'and', of: [{ op: 'step', step: 0 }, not] } });
    // b at 2 would bridge a1 and a2, but does not: two sessions [0, 0] and [4, 4], b in neither.
    expect(lines(lonely, [at(0, 'a1'), at(2, 'b', { step: 1 }), at(4, 'a2')])).toEqual([
      [0, 0, 'a1'],
      [4, 4, 'a2'],
    ]);
    expect(lines(lonely, [at(0, 'a1'), at(1, 'b', { step: 1 }), at(2, 'a2')])).toEqual([]);
  });
});

describe('modes reset and every', () => {
  const hits = ['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((id, index) => at(index, id));
  const three = (onMatch: 'reset' | 'every') => rule({ type: 'event_count', bounds: bound('gte', 3), onMatch });

  it('every: each event while the condition holds; evidence is the first N of its window', () => {
    expect(finalAlerts(three('every'), hits.slice(0, 5)).map(({ triggerId }) => triggerId)).toEqual(['c', 'd', 'e']);
    expect(lines(three('every'), hits.slice(0, 4))).toEqual([
      [0, 2, 'a b c'],
      [0, 3, 'a b c'],
    ]);
  });

  it('reset: forgets everything after each alert', () => {
    expect(lines(three('reset'), hits)).toEqual([
      [0, 2, 'a b c'],
      [3, 5, 'd e f'],
    ]);
  });

  it('a tie is taken in the order of ids: the third of three fires, whatever arrived last', () => {
    const tie = [at(1, 'c'), at(1, 'a'), at(1, 'b')];
    expect(finalAlerts(three('every'), tie).map(({ triggerId }) => triggerId)).toEqual(['c']);
  });

  it('ordered: hits of one time are taken together, so a tie fires in every mode', () => {
    const steps = [0, 1].map((step) => ({ step, runs: 1, negated: false }));
    const ordered = (onMatch: 'suppress' | 'reset' | 'every') =>
      rule({ type: 'temporal_ordered', ordered: steps, onMatch });
    // The last step has the smaller id. every: both events of that time see the chain; reset: the first of them.
    const tie = [at(1, 'z'), at(1, 'a', { step: 1 })];
    expect(lines(ordered('suppress'), tie)).toEqual([[1, 11, 'a z']]);
    expect(finalAlerts(ordered('every'), tie).map(({ triggerId }) => triggerId)).toEqual(['a', 'z']);
    expect(finalAlerts(ordered('reset'), tie).map(({ triggerId }) => triggerId)).toEqual(['a']);
  });

  it('windows that are decided once mean the same in every mode', () => {
    const few = (onMatch: 'suppress' | 'every') => rule({ type: 'event_count', bounds: bound('lt', 3), onMatch });
    expect(lines(few('every'), hits)).toEqual(lines(few('suppress'), hits));
  });

  it('everyHits speaks in mode every whatever the mode of the rule', () => {
    expect(everyHits({ ...three('reset'), onMatch: 'suppress' }, hits).map(({ triggerId }) => triggerId)).toEqual([
      'c',
      'd',
      'e',
      'f',
      'g',
    ]);
  });
});

describe('expect (section 8)', () => {
  const window = { kind: 'tumbling' } as const;
  const silent = (relation: 'lt' | 'lte' | 'eq', value: number) =>
    rule({ type: 'event_count', window, bounds: bound(relation, value), expect: ['["s:g"]', '["s:never"]'] });

  it('from the first whole window after the first hit to the window of the last', () => {
    // First hit 5: windows [10, 20), [20, 30); last hit 25. g is silent in the first, "never" in both.
    expect(lines(silent('lt', 1), [at(5, 'a'), at(25, 'b')])).toEqual([
      [10, 19.999, ''],
      [10, 19.999, ''],
      [20, 29.999, ''],
    ]);
    const groups = finalAlerts(silent('lt', 1), [at(5, 'a'), at(25, 'b')]).map(({ group }) => group);
    expect(groups).toEqual(['["s:g"]', '["s:never"]', '["s:never"]']);
  });

  it('goes on as far as the watermark had come', () => {
    // Watermark 40: [30, 40) has been passed too, [40, 50) has not.
    const finals = finalAlerts(silent('lt', 1), [at(5, 'a'), at(25, 'b')], { watermarkMs: second(40) });
    const own = finals.filter(({ group }) => group === '["s:g"]').map(({ firstAtMs }) => firstAtMs - MIDNIGHT_MS);
    expect(own).toEqual([10_000, 30_000]);
  });

  it('too few is not nothing: first_at is the first hit there', () => {
    expect(lines(silent('lte', 1), [at(5, 'a'), at(12, 'b')])).toEqual([
      [12, 19.999, 'b'],
      [10, 19.999, ''],
    ]);
  });

  it('says nothing in an organization without a hit', () => {
    const organizations = finalAlerts(silent('lt', 1), [at(5, 'a'), at(15, 'b')]).map((final) => final.organization);
    expect(new Set(organizations)).toEqual(new Set(['acme']));
  });
});

describe('chains (section 7)', () => {
  const chainRule = (
    uid: string,
    definition: CorrelationDefinition,
    parts: Partial<ChainRule> & { readonly stepSources: readonly StepSource[] },
  ): ChainRule => ({ uid, semanticHash: uid, definition, depth: 0, groupBy: ['ip'], ...parts });
  const detection = { kind: 'detection', detection: 0 } as const;
  const inner = { kind: 'correlation', correlation: 0 } as const;
  const brute = chainRule('brute', rule({ type: 'event_count', bounds: bound('gte', 3) }), {
    stepSources: [detection],
    groupBy: ['user', 'ip'],
  });
  const own = (seconds: number, id: string) => at(seconds, id, { group: '["s:alice","s:1.1.1.1"]' });
  const chain = /^chain:[0-9a-f]{32}$/;

  it('P1 an inner alert completes the outer rule at its own event', () => {
    const steps = [0, 1].map((step) => ({ step, runs: 1, negated: false }));
    const outer = chainRule('then', rule({ type: 'temporal_ordered', spanMs: 60_000, ordered: steps }), {
      stepSources: [detection, inner],
      depth: 1,
    });
    const hits = [own(1, 'a'), own(2, 'b'), own(3, 'c')];
    const [innerFinals, finals] = finalsOfRuleSet({ correlations: [brute, outer] }, [
      hits,
      [at(0, 'scan', { group: '["s:1.1.1.1"]' })],
    ]);
    expect(innerFinals).toHaveLength(1);
    // scan at 0, brute at 3 (its third event): true until scan leaves at 60.
    expect(finals).toMatchObject([{ group: '["s:1.1.1.1"]', firstAtMs: second(0), lastAtMs: second(60) }]);
    expect(finals?.[0]?.eventIds).toEqual([expect.stringMatching(chain), 'scan']);
  });

  it('an inner rule in suppress mode still gives a hit every minute', () => {
    const outer = chainRule(
      'then',
      rule({
        type: 'temporal_ordered',
        ordered: [0, 1].map((step) => ({ step, runs: 1, negated: false })),
      }),
      { stepSources: [inner, detection], depth: 1 },
    );
    // Failures every 2 s for two minutes: hits at 4 (the first), 60 and 120 (first of their minutes).
    const failures = Array.from({ length: 61 }, (_, index) => own(2 * index, `f${100 + index}`));
    const login = (seconds: number) =>
      finalsOfRuleSet({ correlations: [brute, outer] }, [
        failures,
        [at(seconds, 'login', { group: '["s:1.1.1.1"]', step: 1 })],
      ])[1];
    expect(login(5)).toHaveLength(1);
    expect(login(70)).toHaveLength(1);
    expect(login(71)).toHaveLength(0);
  });

  it('an outer count counts bursts: one long attack is one, two attacks a span apart are two', () => {
    const count = (least: number) =>
      chainRule('many', rule({ type: 'event_count', spanMs: 600_000, bounds: bound('gte', least) }), {
        stepSources: [inner],
        depth: 1,
      });
    const burst = (from: number) => [0, 1, 2].map((offset) => own(from + offset, `b${from + offset}`));
    const finals = (least: number, hits: readonly OracleEvent[]) =>
      finalsOfRuleSet({ correlations: [brute, count(least)] }, [hits, []])[1];
    expect(finals(2, [...burst(100), ...burst(200)])).toHaveLength(1);
    // 57..62: chain hits at 59 and 60 (next minute), 1 s apart: the second is no new burst.
    expect(finals(1, [...burst(57), ...burst(60)])).toHaveLength(1);
    expect(finals(2, [...burst(57), ...burst(60)])).toHaveLength(0);
  });

  it('value_count over an inner group-by field: many users from one address', () => {
    const outer = chainRule('spread', rule({ type: 'value_count', spanMs: 60_000, bounds: bound('gte', 2) }), {
      stepSources: [inner],
      depth: 1,
      valueFields: ['user'],
    });
    const of = (user: string) =>
      [0, 1, 2].map((offset) => at(offset, `${user}${offset}`, { group: `["s:${user}","s:1.1.1.1"]` }));
    expect(finalsOfRuleSet({ correlations: [brute, outer] }, [[...of('alice'), ...of('bob')], []])[1]).toHaveLength(1);
    expect(finalsOfRuleSet({ correlations: [brute, outer] }, [of('alice'), []])[1]).toHaveLength(0);
  });

  it('an inner rule decided by windows gives one hit per final, at its newest evidence', () => {
    const quiet = chainRule('quiet', rule({ type: 'event_count', bounds: bound('lt', 3) }), {
      stepSources: [detection],
    });
    const outer = chainRule('outer', rule({ type: 'event_count', bounds: bound('gte', 1) }), {
      stepSources: [inner],
      depth: 1,
    });
    // Anchor 1: [1, 11] holds a and b: final, newest evidence 4. The chain hit is true [4, 14].
    const [, finals] = finalsOfRuleSet({ correlations: [quiet, outer] }, [
      [at(1, 'a', { group: '["s:x"]' }), at(4, 'b', { group: '["s:x"]' })],
      [],
    ]);
    expect(finals).toMatchObject([{ firstAtMs: second(4), lastAtMs: second(14) }]);
  });
});
