import { loadRuleSet } from '@tracehound/sigma';
import { describe, expect, it } from 'vitest';
import { createRandom } from '../oracle/random.ts';
import { smallBatch, smallConfig, smallMatch, smallRuleSet } from '../oracle/small-log.ts';
import { createPartitionEngine } from './engine.ts';
import { createOfflineEngine } from './offline.ts';

const T0 = 1_000_000;
const SET = smallRuleSet([{ name: 'count', type: 'event_count', spanMs: 60_000, threshold: 3 }]);

/** 15 events in 100 s in one group, shuffled by less than 50 s. */
function shuffled(seed: number) {
  const random = createRandom(seed);
  return Array.from({ length: 15 }, (_, index) => ({ id: `e${index}`, timeMs: T0 + index * 6800 }))
    .map((event) => ({ event, orderMs: event.timeMs + random.below(50_000) }))
    .sort((a, b) => a.orderMs - b.orderMs)
    .map(({ event }) => event);
}

describe('a count is a lower bound, never too many', () => {
  it('15 events in any order: 15 in a recording, at most 15 in the service', () => {
    for (let seed = 0; seed < 200; seed++) {
      const events = shuffled(seed);
      const offline = createOfflineEngine(SET);
      const engine = createPartitionEngine(smallConfig([SET]));
      let newestMs = 0;
      const counts: number[] = [];
      const exact: number[] = [];
      for (const [offset, { id, timeMs }] of events.entries()) {
        newestMs = Math.max(newestMs, timeMs);
        offline.advance(newestMs - 60_000);
        offline.add(
          { rule: 0, step: 0, group_key: '["s:alice"]', value: null, number: null },
          { id, timeMs, organization: 'acme' },
        );
        const match = smallMatch({ event_id: id, event_time: timeMs, source_offset: offset });
        const batch = { prev_to: offset, to: offset + 1, watermark: newestMs - 60_000, matches: [match] };
        engine.apply(smallBatch(SET, batch), offset);
      }
      exact.push(...offline.end().map(({ count }) => count));
      const end = smallBatch(SET, { prev_to: 15, to: 15, watermark: 0, end_of_input: true });
      for (const effect of engine.apply(end, 15))
        if (effect.kind === 'alert' && effect.alert.kind === 'FINAL') counts.push(effect.alert.count);
      expect(exact).toEqual([15]);
      expect(counts).toHaveLength(1);
      expect(counts[0]).toBeLessThanOrEqual(15);
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
});
