import type { AvroCodec } from '@tracehound/avro';
import { ACTIVATION_LIMITS } from '@tracehound/correlation';
import type { DetectionFinding, MatchBatch, RuleActivation } from '@tracehound/event-model';
import type { KafkaRecord } from '@tracehound/kafka';
import { loadRuleSet } from '@tracehound/sigma';
import { describe, expect, it } from 'vitest';
import { RuleCosts } from './domain/rule-costs.ts';
import { beginSource } from './domain/source-progress.ts';
import { createDetectPath } from './pipeline.ts';

const detection = (id: string, more = ''): string =>
  `title: ${id}\nid: ${id}\nname: ${id}\nlogsource: {product: tracehound}\ndetection:\n  s: {event_type: auth.login.failure}\n${more === '' ? '  condition: s' : `  f: {${more}}\n  condition: s and not f`}\n`;
const RULES = loadRuleSet([
  {
    path: 'r.yml',
    content: [
      detection('sound'),
      detection('broken', 'payload_bomb: x'),
      detection('other', 'payload_word: x'),
      'title: many\nid: many\ncorrelation: {type: event_count, rules: [sound], group-by: [actor.id], timespan: 1m, condition: {gte: 2}}\n',
    ].join('---\n'),
  },
]);
const ACTIVATION: RuleActivation = {
  schema_rev: 1,
  activation_id: 'a1',
  ruleset_id: RULES.rulesetId,
  lateness_ms: 1_000,
  clock_allowance_ms: 0,
  sources_version: 1,
  sources: [],
  effective_at: 0,
  created_at: 0,
  principal: 'test',
  ...ACTIVATION_LIMITS,
  reason: null,
  breakers: [],
  based_on: null,
  matches_topic_id: null,
  matches_partitions: null,
};

/** A field that cannot be read on every second event: what no rule should meet, and one does. */
function eventOf(offset: number) {
  const payload = { payload_word: 'y' };
  if (offset % 2 === 1) {
    Object.defineProperty(payload, 'payload_bomb', {
      enumerable: true,
      get: () => {
        throw new RangeError('broken');
      },
    });
  }
  const envelope = {
    event_id: `e${offset}`,
    event_type: 'auth.login.failure',
    family: 'auth',
    intake_org: 'acme',
    event_time: 0,
    event_time_source: 'OCCURRED',
    actor: { type: 'USER', id: 'u1', name: null },
    source: { platform: 'test', service: null, version: null, sdk: null, instance: null, seq: null },
    tags: {},
    metadata: {},
  };
  return { envelope, payload, changes: [] };
}

const record = (offset: number): KafkaRecord => ({
  topic: 'security.events',
  partition: 0,
  offset: BigInt(offset),
  appendTimeMs: 10,
  key: null,
  value: Buffer.of(offset),
  headers: {},
});

const SOURCE = { topic: 'security.events', topicId: 't1', partition: 0 };

/** The whole way of stage A, with what comes out of it. */
function pathOf({ activation }: { readonly activation: RuleActivation }) {
  const batches: MatchBatch[] = [];
  const findings: DetectionFinding[] = [];
  const dead: [offset: bigint, reason: string, detail: string][] = [];
  const verdicts: string[] = [];
  const failed: string[] = [];
  const withheld: number[] = [];
  const skipped: number[] = [];
  const seen: number[] = [];
  // Only what the path asks of a codec: events by the byte they are, batches as they are.
  const codec = {
    decodeEvent: (value: Buffer) => ({
      name: 'tracehound.events.v1.AuthenticationEvent',
      value: eventOf(value[0] ?? 0),
    }),
    encode: (_: string, batch: MatchBatch) => {
      batches.push(batch);
      return Buffer.alloc(0);
    },
  } as unknown as AvroCodec;
  const costs = new RuleCosts({
    now: () => 0,
    shareMax: 1,
    onSpent: () => undefined,
    onFailed: (rule) => void failed.push(rule),
    onOverBudget: () => undefined,
    tripShare: 1,
    tripMs: 1,
    onTooSlow: () => undefined,
  });
  const path = createDetectPath({
    source: SOURCE,
    codec,
    clusterId: 'test',
    targets: 1,
    writer: { append: async () => undefined },
    counter: {
      consumed: () => undefined,
      verdict: (_, kind, __, count) => void verdicts.push(...Array.from({ length: count }, () => kind)),
    },
    rulesAt: () => ({ activation, rules: RULES }),
    watch: (rules, failures, organizationId) => costs.watch(rules, failures, organizationId),
    onGroupMissing: () => undefined,
    onWithheld: (matches) => void withheld.push(matches),
    onSkipped: (detections) => void skipped.push(detections),
    guard: { saw: ({ matches }) => void seen.push(matches.length) },
    faultPoint: () => undefined,
    deadLetterLimit: { admit: () => undefined },
    deadLetters: async (entries) => {
      for (const { item, verdict } of entries) dead.push([item.offset, verdict.reason, verdict.detail ?? '']);
    },
    late: async () => undefined,
    publishFindings: async (found) => void findings.push(...found),
  });
  return { path, batches, findings, dead, verdicts, failed, withheld, skipped, seen };
}

describe('stage A', () => {
  it('X7 withholds the matches of a tripped rule by append time, findings and other organizations go on', async () => {
    const tripped = { ...ACTIVATION, breakers: [{ organization_id: 'acme', rule_id: 'many', from: 0, until: 12 }] };
    const run = pathOf({ activation: tripped });
    await run.path(
      beginSource(SOURCE, 0n),
      [0, 2, 4, 6].map((offset) => ({ ...record(offset), appendTimeMs: 9 + offset / 2 })),
    );
    // Append times 9 to 12: the last is taken again, without another activation.
    expect(run.batches.flatMap(({ matches }) => matches.map(({ event_id }) => event_id))).toEqual(['e6']);
    expect(run.withheld).toEqual([1, 1, 1]);
    expect(run.findings.filter(({ rule }) => rule.rule_id === 'other')).toHaveLength(4);
    // What is withheld is not seen by the guard: a tripped rule floods no longer.
    expect(run.seen).toEqual([0, 0, 0, 1]);
    const elsewhere = pathOf({
      activation: { ...tripped, breakers: [{ organization_id: 'umbrella', rule_id: 'many', from: 0, until: 12 }] },
    });
    await elsewhere.path(beginSource(SOURCE, 0n), [record(0)]);
    expect(elsewhere.batches.flatMap(({ matches }) => matches)).toHaveLength(1);
  });

  it('X7 does not ask a tripped detection, by append time and organization', async () => {
    const breakers = [
      { organization_id: 'acme', rule_id: 'broken', from: 0, until: 12 },
      { organization_id: 'umbrella', rule_id: 'other', from: 0, until: 100 },
    ];
    const run = pathOf({ activation: { ...ACTIVATION, breakers } });
    await run.path(
      beginSource(SOURCE, 0n),
      [1, 3, 5, 7].map((offset) => ({ ...record(offset), appendTimeMs: 9 + (offset - 1) / 2 })),
    );
    // Append times 9 to 12: the last is asked about again, and throws.
    expect(run.skipped).toEqual([1, 1, 1]);
    expect(run.dead).toEqual([[7n, 'rule_failed', expect.stringContaining('broken')]]);
    expect(run.findings.filter(({ rule }) => rule.rule_id === 'other')).toHaveLength(4);
    expect(run.batches.flatMap(({ matches }) => matches)).toHaveLength(4);
  });

  it('isolates a rule that throws: the event goes on with the others, is counted and kept for the rule', async () => {
    const { path, batches, findings, dead, verdicts, failed } = pathOf({ activation: ACTIVATION });
    const after = await path(beginSource(SOURCE, 0n), [0, 1, 2, 3].map(record));
    expect(after.next).toBe(4n);
    expect(batches.flatMap(({ matches }) => matches.map(({ event_id }) => event_id))).toEqual(['e0', 'e1', 'e2', 'e3']);
    expect(findings.map(({ rule, event_id }) => `${rule.rule_id} ${event_id}`)).toEqual([
      'broken e0',
      'other e0',
      'other e1',
      'broken e2',
      'other e2',
      'other e3',
    ]);
    expect(failed).toEqual(['broken', 'broken']);
    expect(dead.map(([offset, reason]) => [offset, reason])).toEqual([
      [1n, 'rule_failed'],
      [3n, 'rule_failed'],
    ]);
    expect(dead[0]?.[2]).toContain('broken');
    // consumed = sum of verdicts: the copies are none.
    expect(verdicts).toEqual(['ok', 'ok', 'ok', 'ok']);
  });
});
