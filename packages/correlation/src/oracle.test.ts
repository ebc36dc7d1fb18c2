import type { CorrelationDefinition } from '@tracehound/sigma';
import { describe, expect, it } from 'vitest';
import { correlationOf } from '../oracle/definitions.ts';
import { finalAlerts, type OracleEvent } from '../oracle/index.ts';

/**
 * The oracle against answers worked out by hand from docs/design/correlation-semantics.md, one line of arithmetic
 * each. Times are seconds after a midnight, spans seconds; a line is `[first, last, ids]`.
 */
const MIDNIGHT_MS = 20_000 * 86_400_000;
const second = (value: number): number => MIDNIGHT_MS + value * 1000;

type Extra = Partial<OracleEvent>;
/** Event `id` at a second; one group of one organization unless said otherwise. */
function at(seconds: number, id: string, extra: Extra = {}): OracleEvent {
  return { organization: 'acme', group: '["s:g"]', id, timeMs: second(seconds), step: 0, value: null, ...extra };
}

type Parts = Parameters<typeof correlationOf>[0];
/** Default: 10 s span. */
function rule(parts: Partial<Parts> & Pick<Parts, 'type'>): CorrelationDefinition {
  return correlationOf({ spanMs: 10_000, ...parts });
}
const gte = (value: number) => [{ relation: 'gte', value }] as const;

function lines(definition: CorrelationDefinition, events: readonly OracleEvent[]): unknown[] {
  return finalAlerts(definition, events).map(({ firstAtMs, lastAtMs, eventIds }) => [
    (firstAtMs - MIDNIGHT_MS) / 1000,
    (lastAtMs - MIDNIGHT_MS) / 1000,
    eventIds.join(' '),
  ]);
}

describe('event_count, suppress (X10.2 to X10.7)', () => {
  const two = rule({ type: 'event_count', bounds: gte(2) });

  it('bounds are inclusive at both ends: 10 s apart within 10 s fires, 1 ms more does not', () => {
    // S(10) = [0, 10] holds both; true at t = 10 only.
    expect(lines(two, [at(0, 'a'), at(10, 'b')])).toEqual([[0, 10, 'a b']]);
    expect(lines(two, [at(0, 'a'), at(10.001, 'b')])).toEqual([]);
  });

  it('one alert per burst: last_at is the right end of the last truth', () => {
    // True from 3 (a, b) to 10, when a leaves; with c at 5 from 3 until b leaves at 13.
    expect(lines(two, [at(0, 'a'), at(3, 'b'), at(5, 'c')])).toEqual([[0, 13, 'a b']]);
  });

  it('truths no further apart than a span are one episode, 1 ms more makes two', () => {
    // a b true [1, 10]. c d at 19, 20 true [20, 29]: gap 10 = span, one episode.
    expect(lines(two, [at(0, 'a'), at(1, 'b'), at(19, 'c'), at(20, 'd')])).toEqual([[0, 29, 'a b']]);
    expect(lines(two, [at(0, 'a'), at(1, 'b'), at(19, 'c'), at(20.001, 'd')])).toEqual([
      [0, 10, 'a b'],
      [19, 29, 'c d'],
    ]);
  });

  it('evidence is the first N of the window at the left end, by (time, id)', () => {
    // All at 5: the total order takes a and b, whatever the order of arrival.
    expect(lines(two, [at(5, 'c'), at(5, 'b'), at(5, 'a')])).toEqual([[5, 15, 'a b']]);
  });

  it('a frame boundary (midnight) cuts an episode; the window reaches back over it', () => {
    // True [-5, 4] (a leaves at 4 = -6 + 10): cut at 0; at 0 the window [-10, 0] holds a and b.
    expect(lines(two, [at(-6, 'a'), at(-5, 'b')])).toEqual([
      [-6, -0.001, 'a b'],
      [-6, 4, 'a b'],
    ]);
  });

  it('X6 a second copy of an id has no effect', () => {
    expect(lines(two, [at(0, 'a'), at(0, 'a')])).toEqual([]);
  });

  it('an event of several referenced rules counts once', () => {
    expect(lines(two, [at(0, 'a'), at(0, 'a', { step: 1 })])).toEqual([]);
  });

  it('X13 groups and organizations are apart', () => {
    expect(lines(two, [at(0, 'a'), at(1, 'b', { organization: 'umbrella' })])).toEqual([]);
    expect(lines(two, [at(0, 'a'), at(1, 'b', { group: '["s:h"]' })])).toEqual([]);
  });

  it('gt and two lower bounds: the least count that meets all', () => {
    const three = rule({ type: 'event_count', bounds: [{ relation: 'gt', value: 2 }, ...gte(2)] });
    expect(lines(three, [at(0, 'a'), at(1, 'b')])).toEqual([]);
    expect(lines(three, [at(0, 'a'), at(1, 'b'), at(2, 'c')])).toEqual([[0, 10, 'a b c']]);
  });

  it('trigger and count: the largest of the evidence, all events from the first window to a span after the end', () => {
    // Episode [3, 13]; counted are events in [-7, 23].
    const [final] = finalAlerts(two, [at(0, 'a'), at(3, 'b'), at(5, 'c')]);
    expect(final).toMatchObject({ triggerId: 'b', count: 3 });
  });
});

describe('suppress: D', () => {
  it('cuts from the left end, and goes on at the next ms or truth', () => {
    // Every 2 s from 0 to 20: true [2, 28]. D = 10: [2, 12], [12.001, 22.001], [22.002, 28].
    const every2 = Array.from({ length: 11 }, (_, index) => at(2 * index, `e${String(index).padStart(2, '0')}`));
    const definition = rule({ type: 'event_count', bounds: gte(2), suppressMs: 10_000 });
    expect(lines(definition, every2)).toEqual([
      [0, 12, 'e00 e01'],
      // S(12.001) = [2.001, 12.001]: e02 (4 s) and e03 are the first two.
      [4, 22.001, 'e02 e03'],
      // S(22.002) = [12.002, ...]: e07 (14 s), e08.
      [14, 28, 'e07 e08'],
    ]);
  });

  it('a part ends with its last truth when c does not hold at t0 + D', () => {
    // True [1, 10] and [19, 28], one episode (gap 9). D = 12 ends at 13: last truth before is 10; the next begins at 19.
    const definition = rule({ type: 'event_count', bounds: gte(2), suppressMs: 12_000 });
    expect(lines(definition, [at(0, 'a'), at(1, 'b'), at(18, 'c'), at(19, 'd')])).toEqual([
      [0, 10, 'a b'],
      [18, 28, 'c d'],
    ]);
  });
});

describe('value_count', () => {
  const two = rule({ type: 'value_count', bounds: gte(2) });
  const value = (text: string): Extra => ({ value: text });

  it('counts distinct values; evidence names every value of the window once', () => {
    expect(lines(two, [at(1, 'a', value('x')), at(2, 'b', value('x'))])).toEqual([]);
    // Bucket 0 = [0, 10): per value its first hit there: x by a, y by c.
    expect(lines(two, [at(1, 'a', value('x')), at(2, 'b', value('x')), at(3, 'c', value('y'))])).toEqual([
      [1, 12, 'a c'],
    ]);
  });

  it('X10.5 of the bucket before, the last hit of a value is named', () => {
    // Left end 12 in bucket 1; x has 4 and 8 in bucket 0: the last, b. Truth [12, 18]: x leaves at 8 + 10.
    expect(lines(two, [at(4, 'a', value('x')), at(8, 'b', value('x')), at(12, 'c', value('y'))])).toEqual([
      [8, 18, 'b c'],
    ]);
  });

  it('one event with two values makes two hits', () => {
    expect(lines(two, [at(1, 'a', value('x')), at(1, 'a', value('y'))])).toEqual([[1, 11, 'a']]);
  });

  it('count = distinct values at the left end', () => {
    const hits = [at(1, 'a', value('x')), at(2, 'b', value('y')), at(3, 'c', value('z'))];
    expect(finalAlerts(two, hits)[0]?.count).toBe(2);
  });
});

describe('value_sum, value_avg, value_percentile, value_rarity', () => {
  const number = (value: number | null): Extra => ({ number: value });

  it('sum gte: true while the window holds enough; evidence is what the window at the left end holds', () => {
    const ten = rule({ type: 'value_sum', bounds: gte(10) });
    // 4 + 6 = 10 at 2; 4 leaves after 11 (1 + 10).
    const hits = [at(1, 'a', number(4)), at(2, 'b', number(6)), at(3, 'z', number(null))];
    expect(lines(ten, hits)).toEqual([[1, 11, 'a b']]);
    expect(finalAlerts(ten, hits)[0]?.count).toBe(10);
  });

  it('sum with lower bounds only leaves negative numbers out', () => {
    const ten = rule({ type: 'value_sum', bounds: gte(10) });
    expect(lines(ten, [at(1, 'a', number(10)), at(2, 'b', number(-5))])).toEqual([[1, 11, 'a']]);
  });

  it('sum evidence: at most the last 64 ids', () => {
    const hundred = rule({ type: 'value_sum', bounds: gte(100) });
    const hits = Array.from({ length: 100 }, (_, index) => at(1, `e${String(index).padStart(3, '0')}`, number(1)));
    const [final] = finalAlerts(hundred, hits);
    expect([final?.eventIds.length, final?.eventIds[0], final?.eventIds.at(-1)]).toEqual([64, 'e036', 'e099']);
  });

  it('P7 average gt 9.5 is decided on the whole window after its anchor', () => {
    const high = rule({ type: 'value_avg', bounds: [{ relation: 'gt', value: 9.5 }] });
    // Anchor 0: (9 + 10) / 2 = 9.5, no. Anchor 1: 10 > 9.5, yes: [1, 11].
    expect(lines(high, [at(0, 'a', number(9)), at(1, 'b', number(10))])).toEqual([[1, 11, 'b']]);
  });

  it('P4 percentile: the threshold is looked at, the rank interpolated', () => {
    const p95 = rule({ type: 'value_percentile', percentile: 95, bounds: gte(1000) });
    expect(lines(p95, [at(0, 'a', number(10)), at(1, 'b', number(10))])).toEqual([]);
    // Rank 50 of 1, 2, 4, 10: position 1.5, between 2 and 4: 3.
    const half = (relation: 'eq' | 'gt') =>
      rule({ type: 'value_percentile', percentile: 50, bounds: [{ relation, value: 3 }] });
    const hits = [1, 2, 4, 10].map((value, index) => at(index, `e${index}`, number(value)));
    expect(lines(half('eq'), hits)).toEqual([[0, 10, 'e0 e1 e2 e3']]);
    // gt 3: not for anchor 0; anchor 1 sees 2, 4, 10: median 4.
    expect(lines(half('gt'), hits)).toEqual([[1, 11, 'e1 e2 e3']]);
  });

  it('rarity: names the events of values whose share is small enough', () => {
    const rare = rule({ type: 'value_rarity', bounds: [{ relation: 'lte', value: 25 }] });
    // w is 1 of 4 = 25 %; x is 3 of 4.
    const hits = ['x', 'x', 'w', 'x'].map((value, index) => at(index, `e${index}`, { value }));
    expect(lines(rare, hits)).toEqual([[0, 10, 'e2']]);
    // With three events the rarest share is 33 %: no anchor sees four.
    expect(lines(rare, hits.slice(1))).toEqual([]);
  });
});

describe('temporal', () => {
  const step = (index: number) => ({ op: 'step', step: index }) as const;
  const both = rule({ type: 'temporal', temporal: { op: 'and', of: [step(0), step(1)] } });
  const of = (index: number): Extra => ({ step: index });

  it('all steps in any order, by distinct events', () => {
    expect(lines(both, [at(5, 'b', of(1)), at(8, 'a', of(0))])).toEqual([[5, 15, 'a b']]);
    expect(lines(both, [at(5, 'a', of(0)), at(5, 'a', of(1))])).toEqual([]);
    expect(lines({ ...both, reuse: true }, [at(5, 'a', of(0)), at(5, 'a', of(1))])).toEqual([[5, 15, 'a']]);
  });

  it('a single rule is not enough (a peer fires on one)', () => {
    expect(lines(both, [at(1, 'a', of(0)), at(2, 'b', of(0))])).toEqual([]);
  });

  it('matching: an event of two steps leaves the step that another can take', () => {
    // a serves 0 and 1, b only 0: a must be 1.
    const hits = [at(1, 'b', of(0)), at(2, 'a', of(0)), at(2, 'a', of(1))];
    expect(lines(both, hits)).toEqual([[1, 11, 'a b']]);
  });

  it('X10.4 the trigger is the largest of the evidence, whatever step it serves', () => {
    const hits = [at(5, 'b', of(1)), at(8, 'a', of(0))];
    expect(finalAlerts(both, hits)[0]?.triggerId).toBe('a');
    const two = rule({ type: 'value_count', bounds: gte(2) });
    // Bucket 1: x was last seen in bucket 0 by b, y is new at 12 by c, then x again.
    const values = [at(8, 'b', { value: 'x' }), at(12, 'c', { value: 'y' }), at(12, 'd', { value: 'x' })];
    expect(finalAlerts(two, values)[0]).toMatchObject({ triggerId: 'c', eventIds: ['b', 'c'] });
  });

  it('at_least 2 of 3: evidence is the smallest sufficient set, lowest steps first, latest hits', () => {
    const some = rule({ type: 'temporal', temporal: { op: 'at_least', count: 2, steps: [0, 1, 2] } });
    // At 3 steps 1 and 2 have happened; true [3, 12] by b and c, with a from 4 on until b... a, c: 4 and 3: until 13.
    const hits = [at(2, 'b', of(1)), at(3, 'c', of(2)), at(4, 'a', of(0))];
    expect(lines(some, hits)).toEqual([[2, 13, 'b c']]);
  });

  it('P5 a and not b: no alert when b comes within the span after a, an alert when it comes later', () => {
    const lonely = rule({ type: 'temporal', temporal: { op: 'and', of: [step(0), { op: 'not', of: step(1) }] } });
    expect(lines(lonely, [at(1, 'a', of(0)), at(2, 'b', of(1))])).toEqual([]);
    expect(lines(lonely, [at(1, 'a', of(0)), at(11, 'b', of(1))])).toEqual([]);
    expect(lines(lonely, [at(1, 'a', of(0)), at(11.001, 'b', of(1))])).toEqual([[1, 11, 'a']]);
  });

  it('X10.14 a window that did not fire covers only its anchor', () => {
    const lonely = rule({ type: 'temporal', temporal: { op: 'and', of: [step(0), { op: 'not', of: step(1) }] } });
    // a1 at 0 sees b at 5. a2 at 6 sees [6, 16]: no b.
    expect(lines(lonely, [at(0, 'a1', of(0)), at(5, 'b', of(1)), at(6, 'a2', of(0))])).toEqual([[6, 16, 'a2']]);
    // One that fired covers all its positives: a3 at 20 alone begins anew.
    const hits = [at(0, 'a1', of(0)), at(6, 'a2', of(0)), at(20, 'a3', of(0))];
    expect(lines(lonely, hits)).toEqual([
      [0, 10, 'a1 a2'],
      [20, 30, 'a3'],
    ]);
  });
});

describe('temporal_ordered', () => {
  const ordered = (steps: number, parts: Partial<Parts> = {}) =>
    rule({
      type: 'temporal_ordered',
      ordered: Array.from({ length: steps }, (_, index) => ({ step: index, runs: 1, negated: false })),
      ...parts,
    });
  const of = (index: number, extra: Extra = {}): Extra => ({ step: index, ...extra });

  it('steps in order; the wrong order does not fire', () => {
    expect(lines(ordered(2), [at(1, 'a', of(0)), at(2, 'b', of(1))])).toEqual([[1, 11, 'a b']]);
    expect(lines(ordered(2), [at(1, 'b', of(1)), at(2, 'a', of(0))])).toEqual([]);
  });

  it('order is kept within one second (a peer cuts to seconds)', () => {
    // export .100, success .200, failed .300 is not failed, success, export.
    expect(lines(ordered(3), [at(0.1, 'c', of(2)), at(0.2, 'b', of(1)), at(0.3, 'a', of(0))])).toEqual([]);
  });

  it('X2 ties satisfy either order, unless strict or numbered by one source', () => {
    const tie = [at(1, 'z', of(0)), at(1, 'a', of(1))];
    expect(lines(ordered(2), tie)).toEqual([[1, 11, 'a z']]);
    expect(lines(ordered(2, { strict: true }), tie)).toEqual([]);
    const numbered = (first: number, second: number) => [
      at(1, 'z', of(0, { instance: 'i', sequence: first })),
      at(1, 'a', of(1, { instance: 'i', sequence: second })),
    ];
    expect(lines(ordered(2), numbered(1, 2))).toEqual([[1, 11, 'a z']]);
    expect(lines(ordered(2), numbered(2, 1))).toEqual([]);
  });

  it('P3 a late event far in the past is no chain', () => {
    expect(lines(ordered(2), [at(1000, 'b', of(1)), at(1, 'a', of(0))])).toEqual([]);
  });

  it('X10.6 the latest last step, then the latest earlier step before it', () => {
    // Left end 5: c at 5, before it b at 4 (not 2), before it a at 3 (not 1). True [5, 13].
    const hits = [at(1, 'a1', of(0)), at(2, 'b1', of(1)), at(3, 'a2', of(0)), at(4, 'b2', of(1)), at(5, 'c', of(2))];
    expect(lines(ordered(3), hits)).toEqual([[3, 13, 'a2 b2 c']]);
  });

  it('gap: neighbours at most so far apart', () => {
    const near = ordered(2, { gapMs: 2000 });
    expect(lines(near, [at(1, 'a', of(0)), at(3, 'b', of(1))])).toEqual([[1, 11, 'a b']]);
    expect(lines(near, [at(1, 'a', of(0)), at(3.001, 'b', of(1))])).toEqual([]);
  });

  it('runs: three failures, then a success', () => {
    const guessed = ordered(2, {
      ordered: [
        { step: 0, runs: 3, negated: false },
        { step: 1, runs: 1, negated: false },
      ],
    });
    const failures = [at(1, 'f1', of(0)), at(2, 'f2', of(0)), at(3, 'f3', of(0))];
    expect(lines(guessed, [...failures, at(4, 's', of(1))])).toEqual([[1, 11, 'f1 f2 f3 s']]);
    expect(lines(guessed, [...failures.slice(1), at(4, 's', of(1))])).toEqual([]);
    // Runs are distinct events even where steps may share one.
    const reused = { ...guessed, reuse: true };
    expect(lines(reused, [at(1, 'f1', of(0)), at(1, 'f1', of(1)), at(2, 's', of(1))])).toEqual([]);
  });

  it('reuse: one event may be two steps', () => {
    const hits = [at(1, 'a', of(0)), at(1, 'a', of(1))];
    expect(lines(ordered(2), hits)).toEqual([]);
    expect(lines(ordered(2, { reuse: true }), hits)).toEqual([[1, 11, 'a']]);
    expect(lines(ordered(2, { reuse: true, strict: true }), hits)).toEqual([]);
  });

  it('until: a chain with the ending step inside does not count, one after it does', () => {
    const ended = ordered(2, { until: [2] });
    // Anchor a at 1: window [1, 11]; u at 2 lies in [1, 3].
    expect(lines(ended, [at(1, 'a', of(0)), at(2, 'u', of(2)), at(3, 'b', of(1))])).toEqual([]);
    expect(lines(ended, [at(1, 'a', of(0)), at(3, 'b', of(1)), at(4, 'u', of(2))])).toEqual([[1, 11, 'a b']]);
  });

  it('a negated step between its neighbours, at the start and at the end', () => {
    const entry = (index: number, negated = false) => ({ step: index, runs: 1, negated });
    const between = ordered(0, { ordered: [entry(0), entry(1, true), entry(2)] });
    expect(lines(between, [at(1, 'a', of(0)), at(3, 'c', of(2))])).toEqual([[1, 11, 'a c']]);
    expect(lines(between, [at(1, 'a', of(0)), at(2, 'n', of(1)), at(3, 'c', of(2))])).toEqual([]);
    // The closed interval: a negated hit at the neighbour's own time counts.
    expect(lines(between, [at(1, 'a', of(0)), at(3, 'n', of(1)), at(3, 'c', of(2))])).toEqual([]);
    // A later a after n makes a chain of its own: a2 c. The anchor is a1, all positives are named.
    const again = [at(1, 'a1', of(0)), at(2, 'n', of(1)), at(2.5, 'a2', of(0)), at(3, 'c', of(2))];
    expect(lines(between, again)).toEqual([[1, 11, 'a1 a2 c']]);
    // Trailing: to the window's end, 1 + 10.
    const trailing = ordered(0, { ordered: [entry(0), entry(1), entry(2, true)] });
    expect(lines(trailing, [at(1, 'a', of(0)), at(2, 'b', of(1)), at(11, 'n', of(2))])).toEqual([]);
    expect(lines(trailing, [at(1, 'a', of(0)), at(2, 'b', of(1)), at(11.001, 'n', of(2))])).toEqual([[1, 11, 'a b']]);
  });

  it('P8 five steps of many hits: what cannot be completed is not tried again', () => {
    const hits = Array.from({ length: 60 }, (_, index) => at(index / 100, `e${1000 + index}`, of(4 - (index % 5))));
    expect(finalAlerts(ordered(5), hits)).toHaveLength(1);
    const never = hits.filter(({ step }) => step !== 0);
    expect(finalAlerts(ordered(5), never)).toEqual([]);
  });
});
