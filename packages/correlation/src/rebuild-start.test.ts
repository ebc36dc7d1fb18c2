import { loadRuleSet } from '@tracehound/sigma';
import { describe, expect, it } from 'vitest';
import { smallBatch, smallConfig, smallMatch } from '../oracle/small-log.ts';
import { createPartitionEngine, type PartitionEngine } from './engine.ts';

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
/** A boundary of the frames of every rule here. */
const T0 = 20_000 * DAY_MS;

function setOf(name: string, condition: string) {
  const detection =
    'title: a\nname: a\nlogsource: {product: test}\ndetection: {s: {type: a}, condition: s}\n---\n' +
    'title: short\nname: short\ncorrelation:\n  type: event_count\n  rules: [a]\n  group-by: [user]\n  timespan: 10s\n' +
    '  condition: {gte: 1}\n---\n';
  return loadRuleSet([
    { path: 'set.yml', content: `${detection}title: ${name}\nname: ${name}\ncorrelation:\n${condition}` },
  ]);
}

/** At most three in five days: decided by time alone, and a window that fires covers its events. */
const FEW = setOf(
  'few',
  '  type: event_count\n  rules: [a]\n  group-by: [user]\n  timespan: 5d\n  condition: {lte: 3}\n',
);

/** A tick every hour, and hits of both rules at these times. */
function logOf(set: typeof FEW, hitsMs: readonly number[], untilMs: number) {
  const batches = [];
  let offset = 0;
  let from = 0;
  for (let endMs = HOUR_MS; from < untilMs; endMs = Math.min(untilMs, endMs + HOUR_MS)) {
    const [startMs, stopMs, prevTo] = [from, endMs, offset];
    const matches = hitsMs
      .filter((ms) => ms >= startMs && ms < stopMs)
      .flatMap((ms) =>
        set.correlations.map((_, rule) =>
          smallMatch({ event_id: `e${ms}`, event_time: T0 + ms, source_offset: offset, rule }),
        ),
      );
    if (matches.length > 0) offset++;
    batches.push(smallBatch(set, { prev_to: prevTo, to: offset, watermark: T0 + stopMs, matches }));
    from = endMs;
  }
  return batches;
}

const create = (set: typeof FEW): PartitionEngine =>
  createPartitionEngine({ ...smallConfig([set]), chains: 'effects', chainSources: [] });

describe('where a rebuild begins', () => {
  it('X12 keeps what covers a hit, though no group is left', () => {
    const log = logOf(FEW, [0, 5 * DAY_MS - 1_000], 5 * DAY_MS + 30_000);
    const engine = create(FEW);
    for (const [offset, batch] of log.entries()) engine.apply(batch, offset);
    const few = engine.usage().find(({ ruleId }) => ruleId === 'few');
    expect(few?.groups ?? 0).toBe(0);
    const mark = engine.rebuildFrom();
    const rebuilt = create(FEW);
    if (mark !== null) rebuilt.beginAt(mark);
    for (const [offset, batch] of log.entries()) {
      if (offset >= (mark?.offset ?? 0)) rebuilt.apply(batch, offset, { rebuilding: true });
    }
    expect(rebuilt.usage()).toEqual(engine.usage());
  });

  it('X12 goes forward with the watermark, some days behind it, over a load too', () => {
    const days = Array.from({ length: 30 * 24 }, (_, hour) => hour * HOUR_MS + 5);
    const log = logOf(FEW, days, 30 * DAY_MS);
    let engine = create(FEW);
    const at = new Map<number, number>();
    for (const [offset, batch] of log.entries()) {
      engine.apply(batch, offset);
      at.set(offset, engine.rebuildFrom()?.offset ?? 0);
      if (offset % 100 !== 0) continue;
      const groups = engine.takeDirty().flatMap(({ groupId, blob }) => (blob ? [[groupId, blob] as const] : []));
      const loaded = create(FEW);
      loaded.load(engine.metaBlob(), groups);
      expect(loaded.rebuildFrom()).toEqual(engine.rebuildFrom());
      expect(loaded.metaBlob()).toEqual(engine.metaBlob());
      engine = loaded;
    }
    const hours = [...at.values()];
    expect(hours.toSorted((a, b) => a - b)).toEqual(hours);
    const behind = log.length - (hours.at(-1) ?? 0);
    // frame_start(W - 2 span) - 2 span, of frames of five days; the rest is the distance of marks.
    expect(behind).toBeGreaterThan(4 * 5 * 24 - 24);
    expect(behind).toBeLessThan(1.1 * 5 * 5 * 24);
  });

  it('X12 needs the whole log where silence is counted', () => {
    const silent = setOf(
      'silent',
      '  type: event_count\n  rules: [a]\n  group-by: [user]\n  timespan: 1h\n  condition: {lt: 1}\n  x-corr: {expect: [bob]}\n',
    );
    const log = logOf(silent, [5], 10 * DAY_MS);
    const [whole, late] = [create(silent), create(silent)];
    for (const [offset, batch] of log.entries()) whole.apply(batch, offset);
    expect(whole.rebuildFrom()).toBeNull();
    late.beginAt({ offset: 100, reachMs: T0 + 99 * HOUR_MS });
    for (const [offset, batch] of log.entries()) if (offset >= 100) late.apply(batch, offset, { rebuilding: true });
    const tick = smallBatch(silent, { prev_to: 1, to: 1, watermark: T0 + 11 * DAY_MS });
    expect(whole.apply(tick, log.length).length).toBeGreaterThan(0);
    expect(late.apply(tick, log.length)).toEqual([]);
  });

  it('X12 is not known of state that the release before has written', () => {
    const log = logOf(FEW, [0, 1_000], 20 * DAY_MS);
    const before = createPartitionEngine(smallConfig([FEW]));
    for (const [offset, batch] of log.entries()) before.apply(batch, offset);
    const groups = before.takeDirty().flatMap(({ groupId, blob }) => (blob ? [[groupId, blob] as const] : []));
    const engine = create(FEW);
    engine.load(before.metaBlob(), groups);
    expect(engine.rebuildFrom()).toBeNull();
    const next = log.at(-1);
    if (next === undefined) throw new Error('the log is empty');
    engine.apply({ ...next, watermark: next.watermark + 20 * DAY_MS }, log.length);
    expect(engine.rebuildFrom()).toBeNull();
  });
});
