import { END_OF_INPUT_WATERMARK_MS } from '@tracehound/event-model';
import type { CorrelationDefinition, StepExpression } from '@tracehound/sigma';
import { describe, expect, it } from 'vitest';
import { correlationOf } from '../../oracle/definitions.ts';
import { ByteReader, ByteWriter } from '../byte-codec.ts';
import { createFirmMachine, type FirmHit, type FirmOutcome, readFirmMachine } from './machine.ts';

const ALERTS = { purpose: 'alerts' } as const;
const CHAIN = { purpose: 'chain' } as const;
const SPAN_MS = 10_000;
const step = (index: number): StepExpression => ({ op: 'step', step: index });

function rule(parts: Partial<CorrelationDefinition> & Pick<CorrelationDefinition, 'type'>): CorrelationDefinition {
  return correlationOf({ spanMs: SPAN_MS, ...parts });
}

function hit(timeMs: number, id: string, fields: Partial<FirmHit> = {}): FirmHit {
  const place = { source: 0, sourceOffset: 0, matchesOffset: 0, instance: null, sequence: null };
  return { timeMs, id, step: 0, value: null, number: null, ...place, ...fields };
}

function run(
  definition: CorrelationDefinition,
  hits: readonly FirmHit[],
  options: typeof ALERTS | typeof CHAIN = ALERTS,
) {
  const machine = createFirmMachine(definition, options);
  for (const one of hits) expect(machine.insert(one)).toBe('applied');
  return machine.advance(END_OF_INPUT_WATERMARK_MS);
}

/** [first_at, last_at, ids] of finals. */
function short(outcomes: readonly FirmOutcome[]): unknown[] {
  return outcomes.map((one) => (one.kind === 'final' ? [one.firstAtMs, one.lastAtMs, one.eventIds.join()] : one.kind));
}

const values = (...list: [number, string, string][]): FirmHit[] =>
  list.map(([timeMs, id, value]) => hit(timeMs, id, { value }));
const numbers = (...list: [number, string, number][]): FirmHit[] =>
  list.map(([timeMs, id, number]) => hit(timeMs, id, { number }));
const steps = (...list: [number, string, number][]): FirmHit[] =>
  list.map(([timeMs, id, index]) => hit(timeMs, id, { step: index }));

describe('anchors', () => {
  it('P4 p95 gte 1000 of tens is silent', () => {
    const definition = rule({ type: 'value_percentile', percentile: 95, bounds: [{ relation: 'gte', value: 1000 }] });
    expect(run(definition, numbers([0, 'a', 10], [1, 'b', 10], [2, 'c', 10]))).toEqual([]);
    expect(short(run(definition, numbers([0, 'a', 10], [1, 'b', 1000])))).toEqual([[1, 10_001, 'b']]);
  });

  it('P5 a and not b: a at 1, b at 2 is silent', () => {
    const definition = rule({ type: 'temporal', temporal: { op: 'and', of: [step(0), { op: 'not', of: step(1) }] } });
    expect(run(definition, steps([1000, 'a', 0], [2000, 'b', 1]))).toEqual([]);
    expect(short(run(definition, steps([1000, 'a', 0], [11_001, 'b', 1])))).toEqual([[1000, 11_000, 'a']]);
  });

  it('P6 event_count lt 3 speaks at the end of the window only', () => {
    const machine = createFirmMachine(rule({ type: 'event_count', bounds: [{ relation: 'lt', value: 3 }] }), ALERTS);
    machine.insert(hit(1000, 'a'));
    expect(machine.advance(11_000)).toEqual([]);
    expect(machine.dueMs).toBe(11_001);
    expect(machine.advance(11_001)).toMatchObject([
      {
        kind: 'final',
        firstAtMs: 1000,
        lastAtMs: 11_000,
        timerDueMs: 11_000,
        trigger: null,
        decidedMs: 11_001,
        count: 1,
      },
    ]);
    expect(machine.isEmpty).toBe(true);
  });

  it('a window that did not fire covers its anchor only', () => {
    const definition = rule({ type: 'event_count', bounds: [{ relation: 'eq', value: 2 }] });
    expect(short(run(definition, [hit(0, 'a'), hit(6000, 'b'), hit(9000, 'c')]))).toEqual([[6000, 16_000, 'b,c']]);
  });

  it('averages, sums and shares', () => {
    const average = rule({ type: 'value_avg', bounds: [{ relation: 'gt', value: 9.5 }] });
    expect(short(run(average, numbers([0, 'a', 9], [1, 'b', 10.5])))).toEqual([[0, 10_000, 'a,b']]);
    const sum = rule({ type: 'value_sum', bounds: [{ relation: 'lt', value: 0.35 }] });
    // 0.1 + 0.1 + 0.1 in doubles is above 0.3, but far below 0.35; without the large number nothing of it is left.
    const sliding = numbers([0, 'a', 1e17], [5000, 'b', 0.1], [5001, 'c', 0.1], [12_000, 'd', 0.1]);
    expect(short(run(sum, sliding))).toEqual([[5000, 15_000, 'b,c,d']]);
    const rarity = rule({ type: 'value_rarity', bounds: [{ relation: 'lte', value: 25 }] });
    const seen = values([0, 'a', 'x'], [1, 'b', 'x'], [2, 'c', 'x'], [3, 'd', 'y']);
    expect(short(run(rarity, seen))).toEqual([[0, 10_000, 'd']]);
  });

  it('a chain that an until step falls into does not count', () => {
    const ordered = [
      { step: 0, runs: 1, negated: false },
      { step: 1, runs: 1, negated: false },
    ];
    const definition = rule({ type: 'temporal_ordered', ordered, until: [2] });
    expect(run(definition, steps([0, 'a', 0], [1, 'u', 2], [2, 'b', 1]))).toEqual([]);
    expect(short(run(definition, steps([0, 'u', 2], [1, 'a', 0], [2, 'b', 1])))).toEqual([[1, 10_001, 'a,b']]);
  });
});

describe('tumbling windows and sessions', () => {
  const three = { type: 'event_count', bounds: [{ relation: 'gte', value: 3 }] } as const;

  it('three in one window of ten seconds, not across two', () => {
    const definition = rule({ ...three, window: { kind: 'tumbling' } });
    expect(run(definition, [hit(8000, 'a'), hit(9999, 'b'), hit(10_000, 'c')])).toEqual([]);
    const all = [hit(10_000, 'a'), hit(12_000, 'b'), hit(19_999, 'c'), hit(19_999, 'd')];
    expect(short(run(definition, all))).toEqual([[10_000, 19_999, 'a,b,c']]);
  });

  it('a session ends after the gap or the longest span', () => {
    const definition = rule({ ...three, window: { kind: 'session', gapMs: 4000 } });
    const gap = [hit(0, 'a'), hit(4000, 'b'), hit(8001, 'c')];
    expect(run(definition, gap)).toEqual([]);
    const long = [hit(0, 'a'), hit(4000, 'b'), hit(8000, 'c'), hit(11_000, 'd')];
    expect(short(run(definition, long))).toEqual([[0, 8000, 'a,b,c']]);
  });

  it('a negated hit belongs to the session that holds it', () => {
    const temporal: StepExpression = { op: 'and', of: [step(0), { op: 'not', of: step(1) }] };
    const definition = rule({ type: 'temporal', temporal, window: { kind: 'session', gapMs: 4000 } });
    expect(short(run(definition, steps([0, 'a', 0], [1, 'n', 1])))).toEqual([[0, 0, 'a']]);
    expect(run(definition, steps([0, 'a', 0], [1, 'n', 1], [2, 'b', 0]))).toEqual([]);
  });

  it('an expected group is decided in silence, from the first whole window to the end', () => {
    const bounds = [{ relation: 'lt', value: 2 }] as const;
    const machine = createFirmMachine(rule({ type: 'event_count', bounds, window: { kind: 'tumbling' } }), ALERTS);
    machine.insert(hit(5000, 'a'));
    machine.expect(5000, 5000);
    expect(machine.dueMs).toBe(5001);
    expect(short(machine.advance(20_000))).toEqual([[10_000, 19_999, '']]);
    machine.insert(hit(25_000, 'b'));
    machine.insert(hit(26_000, 'c'));
    machine.expect(5000, 31_000);
    expect(machine.isEmpty).toBe(false);
    expect(short(machine.advance(END_OF_INPUT_WATERMARK_MS))).toEqual([[30_000, 39_999, '']]);
  });
});

describe('every, reset and episodes', () => {
  const two = { type: 'event_count', bounds: [{ relation: 'gte', value: 2 }] } as const;
  const hits = [hit(0, 'a'), hit(1000, 'b'), hit(2000, 'c'), hit(3000, 'd')];

  it('every event at which it holds, or the first and then anew', () => {
    const every = run(rule({ ...two, onMatch: 'every' }), hits);
    expect(short(every)).toEqual([
      [0, 1000, 'a,b'],
      [0, 2000, 'a,b'],
      [0, 3000, 'a,b'],
    ]);
    expect(every.map((one) => one.kind === 'final' && one.trigger)).toEqual(['b', 'c', 'd']);
    expect(short(run(rule({ ...two, onMatch: 'reset' }), hits))).toEqual([
      [0, 1000, 'a,b'],
      [2000, 3000, 'c,d'],
    ]);
  });

  it('an episode lasts until the condition no longer holds; suppress cuts it', () => {
    expect(short(run(rule(two), hits))).toEqual([[0, 12_000, 'a,b']]);
    expect(short(run(rule({ ...two, suppressMs: 6000 }), hits))).toEqual([
      [0, 7000, 'a,b'],
      [0, 12_000, 'a,b'],
    ]);
  });

  it('temporal evidence takes distinct events', () => {
    const temporal: StepExpression = { op: 'and', of: [step(0), step(1)] };
    const both = [...steps([0, 'a', 0], [0, 'a', 1]), ...steps([500, 'b', 1])];
    expect(short(run(rule({ type: 'temporal', temporal }), both))).toEqual([[0, 10_000, 'a,b']]);
    expect(short(run(rule({ type: 'temporal', temporal, reuse: true }), both.slice(0, 2)))).toEqual([[0, 10_000, 'a']]);
  });
});

describe('the source of a chain', () => {
  it('X11 gives the first trigger of every minute, and says which begins a burst', () => {
    const bounds = [{ relation: 'gte', value: 1 }] as const;
    const times = [0, 1000, 59_999, 60_000, 65_000, 140_000];
    const inner = rule({ type: 'event_count', bounds, spanMs: 70_000 });
    const hits = times.map((timeMs) => hit(timeMs, `e${timeMs}`));
    expect(run(inner, hits, CHAIN)).toMatchObject([
      { kind: 'chain', timeMs: 0, triggerId: 'e0', isNewBurst: true },
      { kind: 'chain', timeMs: 60_000, triggerId: 'e60000', isNewBurst: false },
      { kind: 'chain', timeMs: 140_000, triggerId: 'e140000', isNewBurst: true },
    ]);
  });

  it('X11 gives one hit per final of a rule that is not monotone', () => {
    const inner = rule({ type: 'event_count', bounds: [{ relation: 'lt', value: 3 }] });
    expect(run(inner, [hit(0, 'a'), hit(7, 'b'), hit(20_000, 'c')], CHAIN)).toMatchObject([
      { timeMs: 7, triggerId: 'due:10000', isNewBurst: true },
      { timeMs: 20_000, triggerId: 'due:30000', isNewBurst: true },
    ]);
  });

  it('keeps its memory of the last hit over a restart', () => {
    const inner = rule({ type: 'event_count', bounds: [{ relation: 'gte', value: 1 }] });
    const machine = createFirmMachine(inner, CHAIN);
    machine.insert(hit(0, 'a'));
    expect(machine.advance(5000)).toHaveLength(1);
    const writer = new ByteWriter();
    machine.write(writer);
    const copy = readFirmMachine(new ByteReader(writer.finish()), inner, CHAIN);
    copy.insert(hit(6000, 'b'));
    expect(copy.advance(END_OF_INPUT_WATERMARK_MS)).toEqual([]);
    expect(copy.isEmpty).toBe(true);
  });
});

describe('what a machine is given', () => {
  const definition = rule({ type: 'event_count', bounds: [{ relation: 'lt', value: 3 }] });

  it('X6 a copy has no effect, a hit below the watermark is a degraded range', () => {
    const machine = createFirmMachine(definition, ALERTS);
    expect(machine.insert(hit(1000, 'a'))).toBe('applied');
    expect(machine.insert(hit(1000, 'a'))).toBe('duplicate');
    machine.advance(2000);
    expect(machine.insert(hit(1000, 'a'))).toEqual({ fromMs: 1000, toMs: 1000, reason: 'below_watermark' });
    expect(machine.advance(END_OF_INPUT_WATERMARK_MS)).toMatchObject([{ count: 1 }]);
  });

  it('a state that ends early is an error', () => {
    expect(() => readFirmMachine(new ByteReader(new Uint8Array([0, 2])), definition, ALERTS)).toThrow('state blob');
  });

  it('more hits in a window than are kept make one degraded range per advance', () => {
    const machine = createFirmMachine(definition, ALERTS);
    for (let index = 0; index < 65_546; index++) machine.insert(hit(1000, `e${index}`));
    const outcomes = machine.advance(2000);
    expect(outcomes).toEqual([{ kind: 'degraded', range: { fromMs: 1000, toMs: 1000, reason: 'window_hits_max' } }]);
  });
});
