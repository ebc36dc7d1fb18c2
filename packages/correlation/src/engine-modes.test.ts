import type { CorrelationAlert, MatchBatch } from '@tracehound/event-model';
import { loadRuleSet, type RuleSetCompiled } from '@tracehound/sigma';
import { describe, expect, it } from 'vitest';
import { smallBatch, smallConfig, smallMatch, smallRuleSet } from '../oracle/small-log.ts';
import {
  type ChainMatch,
  createPartitionEngine,
  type Effect,
  type PartitionEngine,
  type PartitionEngineConfig,
} from './engine.ts';

const T0 = 20_000 * 86_400_000;
const COUNT = smallRuleSet([{ name: 'count', type: 'event_count', spanMs: 10_000, threshold: 3 }]);

function alertsOf(effects: readonly Effect[]): CorrelationAlert[] {
  return effects.flatMap((effect) => (effect.kind === 'alert' ? [effect.alert] : []));
}

function batchOf(set: RuleSetCompiled, prevTo: number, fields: Partial<MatchBatch>): MatchBatch {
  const matches = fields.matches ?? [];
  return smallBatch(set, { prev_to: prevTo, to: prevTo + matches.length, watermark: T0, ...fields, matches });
}

function hits(...at: readonly number[]) {
  return at.map((ms, index) => smallMatch({ event_id: `e${index}`, event_time: T0 + ms, source_offset: index }));
}

describe("speak: 'finals'", () => {
  it('says the finals of `all` and nothing else, and keeps nothing', () => {
    const run = (speak: 'all' | 'finals') => {
      const engine = createPartitionEngine({ ...smallConfig([COUNT]), speak });
      const batches = [
        batchOf(COUNT, 0, { matches: hits(0, 1, 2, 70_000) }),
        batchOf(COUNT, 4, { watermark: T0 + 65_000 }),
        batchOf(COUNT, 4, { end_of_input: true }),
      ];
      const alerts = batches.flatMap((batch, offset) => alertsOf(engine.apply(batch, offset)));
      expect(engine.liveGroups).toBe(0);
      return alerts;
    };
    const all = run('all');
    expect(all.map(({ kind }) => kind)).toEqual(['OPEN', 'FINAL', 'END']);
    expect(run('finals')).toEqual(all.filter(({ kind }) => kind === 'FINAL'));
  });
});

describe("X11 chains: 'effects'", () => {
  const content = [
    ...['a', 'b'].map(
      (name) =>
        `title: ${name}\nname: ${name}\nlogsource: {product: test}\ndetection: {s: {type: ${name}}, condition: s}\n`,
    ),
    'title: inner\nname: inner\ncorrelation:\n  type: event_count\n  rules: [a]\n  group-by: [user]\n  timespan: 10s\n  condition: {gte: 2}\n',
    'title: outer\nname: outer\ncorrelation:\n  type: temporal_ordered\n  rules: [inner, b]\n  group-by: [user]\n  timespan: 1m\n',
  ].join('---\n');
  const set = loadRuleSet([{ path: 'chain.yml', content }]);
  const inner = set.correlations.findIndex(({ uid }) => uid === 'inner');
  const outer = set.correlations.findIndex(({ uid }) => uid === 'outer');
  const matches = [
    smallMatch({ rule: inner, event_id: 'a1', event_time: T0, source_offset: 0 }),
    smallMatch({ rule: inner, event_id: 'a2', event_time: T0 + 1000, source_offset: 1 }),
    smallMatch({ rule: outer, step: 1, event_id: 'b1', event_time: T0 + 5000, source_offset: 2 }),
  ];
  const finalsOf = (alerts: readonly CorrelationAlert[]) =>
    alerts
      .filter(({ kind }) => kind === 'FINAL')
      .map(({ rule, first_at, last_at, event_ids, alert_id }) => [
        rule.rule_id,
        first_at,
        last_at,
        event_ids,
        alert_id,
      ]);

  it('hands chain hits out; what comes back through the log ends as with internal chains', () => {
    const inside = createPartitionEngine(smallConfig([set]));
    const wanted = [batchOf(set, 0, { matches }), batchOf(set, 3, { end_of_input: true })].flatMap((batch, offset) =>
      alertsOf(inside.apply(batch, offset)),
    );
    const chainSource = { topic: 'security.matches', topic_id: 'm1', partition: 3 };
    const config: PartitionEngineConfig = { ...smallConfig([set]), chains: 'effects', chainSources: [chainSource] };
    const engine = createPartitionEngine(config);
    const alerts: CorrelationAlert[] = [];
    const chained: ChainMatch[] = [];
    const apply = (target: PartitionEngine, batch: MatchBatch): void => {
      for (const effect of target.apply(batch, target.nextOffset < 0 ? 0 : target.nextOffset)) {
        if (effect.kind === 'alert') alerts.push(effect.alert);
        if (effect.kind === 'chain') chained.push(effect.chain);
      }
    };
    apply(engine, batchOf(set, 0, { matches }));
    apply(engine, batchOf(set, 3, { watermark: T0 + 2000 }));
    expect(chained).toMatchObject([{ depth: 1, rulesetId: set.rulesetId, match: { rule: outer, step: 0 } }]);
    // The outer rule waits for what the chain's partitions claim.
    apply(engine, batchOf(set, 3, { end_of_input: true }));
    expect(engine.depthWatermarks[1] ?? Number.NEGATIVE_INFINITY).toBeLessThan(T0);
    const source = { src_topic: chainSource.topic, src_topic_id: chainSource.topic_id, src_partition: 3, depth: 1 };
    const back = chained.map(({ match }, index) => ({ ...match, source_offset: index }));
    apply(engine, batchOf(set, 0, { ...source, matches: back }));
    apply(engine, batchOf(set, back.length, { ...source, end_of_input: true }));
    expect(finalsOf(alerts)).toEqual(finalsOf(wanted));
    expect(finalsOf(alerts).map(([rule]) => rule)).toContain('outer');
    expect(engine.liveGroups).toBe(0);
  });
});

describe('sums under flood', () => {
  const content =
    'title: a\nname: a\nlogsource: {product: test}\ndetection: {s: {type: a}, condition: s}\n---\ntitle: sum\nname: sum\ncorrelation:\n  type: value_sum\n  rules: [a]\n  group-by: [user]\n  timespan: 1h\n  condition: {field: bytes, gte: 5000}\n';
  const set = loadRuleSet([{ path: 'sum.yml', content }]);

  it('neighbours are added up, the sum stays, and the range says so', () => {
    const engine = createPartitionEngine(smallConfig([set]));
    const matches = Array.from({ length: 6000 }, (_, index) =>
      smallMatch({ event_id: `e${index}`, event_time: T0 + index, source_offset: index, number: 1 }),
    );
    const alerts = alertsOf(engine.apply(batchOf(set, 0, { matches, watermark: T0 - 1 }), 0));
    alerts.push(...alertsOf(engine.apply(batchOf(set, 6000, { end_of_input: true }), 1)));
    const degraded = alerts.filter(({ kind }) => kind === 'DEGRADED');
    expect(degraded[0]).toMatchObject({ reason: 'sum_hits_max', first_at: T0 });
    const [final, ...others] = alerts.filter(({ kind }) => kind === 'FINAL');
    expect(others).toEqual([]);
    // The sum reaches 5,000 at the 5,000th event, whatever was added up before.
    expect(final?.trigger_event_id).toBe('e4999');
    expect(final?.count_exact).toBe(false);
    expect(final?.count).toBeLessThanOrEqual(6000);
  });
});
