import type { MatchBatch } from '@tracehound/event-model';
import { loadRuleSet } from '@tracehound/sigma';
import { describe, expect, it } from 'vitest';
import { smallBatch, smallConfig, smallMatch, smallRuleSet } from '../oracle/small-log.ts';
import { createPartitionEngine } from './engine.ts';
import { createOfflineEngine } from './offline.ts';

const T0 = 10_000;
const SET = smallRuleSet([{ name: 'count', type: 'event_count', spanMs: 60_000, threshold: 3 }]);

/** 15 events in 100 s in each of four groups, shuffled by less than 50 s. */
function shuffled(seed: number) {
  return Array.from({ length: 60 }, (_, n) => ({ id: `e${n}`, n, timeMs: T0 + Math.floor(n * 1.7) * 1000 }))
    .map((event) => ({ event, orderMs: event.timeMs + ((event.n * 7919 * seed) % 50) * 1000 }))
    .sort((a, b) => a.orderMs - b.orderMs)
    .map(({ event }) => event);
}

describe('a count is a lower bound, never too many', () => {
  it('15 events in any order: 15 in a recording, at most 15 in the service', () => {
    for (let seed = 0; seed < 50; seed++) {
      const offline = createOfflineEngine(SET);
      const engine = createPartitionEngine(smallConfig([SET]));
      let newestMs = 0;
      const exact: number[] = [];
      const counts: number[] = [];
      const apply = (batch: MatchBatch, offset: number): void => {
        for (const effect of engine.apply(batch, offset))
          if (effect.kind === 'alert' && effect.alert.kind === 'FINAL') counts.push(effect.alert.count);
      };
      for (const [offset, { id, n, timeMs }] of shuffled(seed).entries()) {
        newestMs = Math.max(newestMs, timeMs);
        const watermark = newestMs - 60_000;
        const group_key = `["s:i${n % 4}"]`;
        exact.push(...offline.advance(watermark).map(({ count }) => count));
        const match = { rule: 0, step: 0, group_key, value: null, number: null };
        offline.add(match, { id, timeMs, organization: 'acme' });
        const matches = [smallMatch({ event_id: id, event_time: timeMs, group_key, source_offset: offset })];
        apply(smallBatch(SET, { prev_to: offset, to: offset + 1, watermark, matches }), offset);
      }
      exact.push(...offline.end().map(({ count }) => count));
      apply(smallBatch(SET, { prev_to: 60, to: 60, watermark: 0, end_of_input: true }), 60);
      expect(exact).toEqual([15, 15, 15, 15]);
      expect(counts).toHaveLength(4);
      expect(Math.max(...counts)).toBeLessThanOrEqual(15);
    }
  });

  it('an event of several steps counts once', () => {
    const content =
      'title: a\nname: a\nlogsource: {product: test}\ndetection: {s: {type: a}, condition: s}\n---\ntitle: b\nname: b\nlogsource: {product: test}\ndetection: {s: {type: b}, condition: s}\n---\ntitle: t\nname: t\ncorrelation:\n  type: temporal\n  rules: [a, b]\n  group-by: [user]\n  timespan: 1m\n';
    const set = loadRuleSet([{ path: 't.yml', content }]);
    const offline = createOfflineEngine(set);
    for (const [id, step] of [
      ['e1', 0],
      ['e1', 1],
      ['e2', 0],
    ] as const) {
      const match = { rule: 0, step, group_key: '["s:u"]', value: null, number: null };
      offline.add(match, { id, timeMs: T0, organization: 'acme' });
    }
    expect(offline.end()).toMatchObject([{ eventIds: ['e1', 'e2'], count: 2 }]);
  });

  it('values that end alike are different values', () => {
    const offline = createOfflineEngine(
      smallRuleSet([{ name: 'values', type: 'value_count', spanMs: 60_000, threshold: 3 }]),
    );
    for (const [index, name] of ['alice', 'brice', 'alice', 'price'].entries()) {
      const match = { rule: 0, step: 0, group_key: '["s:g"]', value: `["s:${name}-000123"]`, number: null };
      offline.add(match, { id: `e${index}`, timeMs: T0 + index, organization: 'acme' });
    }
    expect(offline.end()).toMatchObject([{ eventIds: ['e0', 'e1', 'e3'], count: 3 }]);
  });
});
