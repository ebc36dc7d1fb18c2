import { loadRuleSet, type RuleMatch, type RuleSetCompiled } from '@tracehound/sigma';
import { describe, expect, it } from 'vitest';
import { createOfflineEngine, type OfflineFinal, type OfflineOptions } from './offline.ts';

/** Faults of other engines, each with the right answer, through the whole engine. */
const T0 = 20_000 * 86_400_000;

function ruleSet(...correlations: readonly string[]): RuleSetCompiled {
  const detections = ['a', 'b', 'c', 'd', 'e'].map(
    (name) =>
      `title: ${name}\nname: ${name}\nid: 00000000-0000-4000-8000-00000000000${name}\nlogsource: {product: test}\ndetection: {s: {type: ${name}}, condition: s}\n`,
  );
  const rules = correlations.map(
    (body, index) =>
      `title: rule ${index}\nname: rule_${index}\n${body.startsWith('correlation') ? body : `correlation:\n${body}`}\n`,
  );
  return loadRuleSet([{ path: 'probes.yml', content: [...detections, ...rules].join('---\n') }]);
}

type Fed = readonly [id: string, timeMs: number, step: number, more?: Partial<RuleMatch>];

function run(set: RuleSetCompiled, hits: readonly Fed[], options: OfflineOptions = {}): readonly OfflineFinal[] {
  const engine = createOfflineEngine(set, options);
  for (const [id, timeMs, step, more] of hits) {
    const match = { rule: 0, step, group_key: '["s:u"]', value: null, number: null, ...more };
    engine.add(match, { id, timeMs: T0 + timeMs, organization: 'acme' });
  }
  return engine.end();
}

const count = (condition: string, span = '10s'): string =>
  `  type: event_count\n  rules: [a]\n  group-by: [user]\n  timespan: ${span}\n  condition: {${condition}}`;

describe('probes of other engines', () => {
  it('P1 an outer correlation is completed by an inner one', () => {
    const set = ruleSet(
      count('gte: 3'),
      '  type: temporal_ordered\n  rules: [rule_0, b]\n  group-by: [user]\n  timespan: 1m',
    );
    const success = { rule: 1 };
    const finals = run(set, [
      ['e1', 0, 0],
      ['e2', 1000, 0],
      ['e3', 2000, 0],
      ['e4', 5000, 1, success],
    ]);
    expect(finals.map(({ rule, atMs }) => [rule.uid, atMs - T0])).toEqual([['rule_1', 5000]]);
    expect(finals[0]?.eventIds).toEqual([expect.stringMatching(/^chain:[0-9a-f]{32}$/), 'e4']);
  });

  it('P3 events 999 s apart are not in one window of 10 s, in whatever order they come', () => {
    const set = ruleSet(count('gte: 2'));
    expect(
      run(set, [
        ['late', 1_000_000, 0],
        ['early', 1_000, 0],
      ]),
    ).toEqual([]);
  });

  it('P4 a percentile is compared with its bound', () => {
    const set = ruleSet(
      '  type: value_percentile\n  rules: [a]\n  group-by: [user]\n  timespan: 10s\n  condition: {gte: 1000, field: ms, percentile: 95}',
    );
    const hits = [0, 1, 2].map((n): Fed => [`e${n}`, n, 0, { number: 10 }]);
    expect(run(set, hits)).toEqual([]);
    expect(
      run(
        set,
        hits.map(([id, at, step]): Fed => [id, at, step, { number: 2000 }]),
      ),
    ).toHaveLength(1);
  });

  it('P5 `a and not b` says nothing when b comes inside the span', () => {
    const set = ruleSet(
      '  type: temporal\n  rules: [a, b]\n  group-by: [user]\n  timespan: 10s\n  condition: a and not b',
    );
    expect(
      run(set, [
        ['e1', 1, 0],
        ['e2', 2, 1],
      ]),
    ).toEqual([]);
    expect(run(set, [['e1', 1, 0]]).map(({ lastAtMs }) => lastAtMs - T0)).toEqual([10_001]);
  });

  it('P6 `event_count lt: 3` speaks when its window is over, not on the first event', () => {
    const engine = createOfflineEngine(ruleSet(count('lt: 3')));
    engine.add(
      { rule: 0, step: 0, group_key: '["s:u"]', value: null, number: null },
      { id: 'e1', timeMs: T0, organization: 'acme' },
    );
    expect(engine.advance(T0 + 10_000)).toEqual([]);
    expect(engine.advance(T0 + 10_001)).toHaveLength(1);
  });

  it('P8 an ordered rule of five steps costs the same for the first and the last of many hits', () => {
    const set = ruleSet('  type: temporal_ordered\n  rules: [a, b, c]\n  group-by: [user]\n  timespan: 1h');
    const hits = Array.from({ length: 20_000 }, (_, n): Fed => [`e${n}`, n, n === 0 ? 2 : n % 2]);
    const began = process.cpuUsage();
    expect(run(set, hits)).toEqual([]);
    const { user, system } = process.cpuUsage(began);
    // 20,000 hits that never complete; backtracking would take hours.
    expect(user + system).toBeLessThan(5_000_000);
  });

  it('P8 five steps with eighty hits each: one answer, in no time', () => {
    const set = ruleSet('  type: temporal_ordered\n  rules: [a, b, c, d, e]\n  group-by: [user]\n  timespan: 1h');
    // Steps against their order, then the last one: no chain; and once more in order.
    const against = [4, 3, 2, 1, 0].flatMap((step, block) =>
      Array.from({ length: 80 }, (_, n): Fed => [`a${step}-${n}`, block * 80 + n, step]),
    );
    const began = process.cpuUsage();
    expect(run(set, against)).toEqual([]);
    const along = [0, 1, 2, 3, 4].flatMap((step, block) =>
      Array.from({ length: 80 }, (_, n): Fed => [`b${step}-${n}`, 1000 + block * 80 + n, step]),
    );
    const [final, ...others] = run(set, [...against, ...along]);
    const { user, system } = process.cpuUsage(began);
    expect(others).toEqual([]);
    // The first last step, and before it the latest of every step.
    expect(final).toMatchObject({ eventIds: ['b0-79', 'b1-79', 'b2-79', 'b3-79', 'b4-0'], count: 800 });
    // 80 to the power of 5 combinations would take years.
    expect(user + system).toBeLessThan(2_000_000);
  });

  it('order is not lost within one second', () => {
    const set = ruleSet('  type: temporal_ordered\n  rules: [a, b, c]\n  group-by: [user]\n  timespan: 10s');
    expect(
      run(set, [
        ['export', 100, 2],
        ['success', 200, 1],
        ['failed', 300, 0],
      ]),
    ).toEqual([]);
    expect(
      run(set, [
        ['failed', 100, 0],
        ['success', 200, 1],
        ['export', 300, 2],
      ]),
    ).toHaveLength(1);
  });

  it('temporal without a condition needs all its rules', () => {
    const set = ruleSet('  type: temporal\n  rules: [a, b]\n  group-by: [user]\n  timespan: 10s');
    expect(
      run(set, [
        ['e1', 0, 0],
        ['e2', 1, 0],
      ]),
    ).toEqual([]);
    expect(
      run(set, [
        ['e1', 0, 0],
        ['e2', 1, 1],
      ]).map(({ eventIds }) => eventIds),
    ).toEqual([['e1', 'e2']]);
  });

  it('temporal: one event does not stand for two rules', () => {
    const set = ruleSet('  type: temporal\n  rules: [a, b]\n  group-by: [user]\n  timespan: 10s');
    expect(
      run(set, [
        ['e1', 0, 0],
        ['e1', 0, 1],
      ]),
    ).toEqual([]);
  });
});

describe('X14 limits', () => {
  it('a flood of keys stays under the limit, says what it dropped, and keeps the group that came furthest', () => {
    const engine = createOfflineEngine(ruleSet(count('gte: 3', '1h')), { groupsMax: 1000 });
    const add = (id: string, key: string, timeMs: number): void =>
      engine.add(
        { rule: 0, step: 0, group_key: `["s:${key}"]`, value: null, number: null },
        { id, timeMs: T0 + timeMs, organization: 'acme' },
      );
    add('slow-1', 'slow', 0);
    add('slow-2', 'slow', 1);
    for (let n = 0; n < 20_000; n++) add(`f${n}`, `flood-${n}`, 2 + n);
    add('slow-3', 'slow', 30_000);
    expect(engine.liveGroups).toBeLessThan(1000 + 4096);
    expect(engine.counters().evicted).toBeGreaterThan(10_000);
    const gaps = engine.takeGaps();
    expect(gaps[0]).toMatchObject({ organization: 'acme', groupKey: null, reason: 'state_pressure' });
    expect(engine.end().map(({ eventIds }) => eventIds)).toEqual([['slow-1', 'slow-2', 'slow-3']]);
  });
});
