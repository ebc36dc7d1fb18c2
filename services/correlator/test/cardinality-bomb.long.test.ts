import { randomUUID } from 'node:crypto';
import { createAvroCodec, createMemoryRegistry, registerRecords } from '@tracehound/avro';
import { ACTIVATION_LIMITS } from '@tracehound/correlation';
import { type CorrelationAlert, type Match, type MatchBatch, RECORD_NAMES } from '@tracehound/event-model';
import { connectRedis } from '@tracehound/redis';
import { groupKeyOf, loadRuleSet } from '@tracehound/sigma';
import { testStack } from '@tracehound/testkit';
import { expect, it } from 'vitest';
import { createRedisStateStore, loadStateLibrary } from '../src/adapters/redis-state-store.ts';
import { PartitionOwner } from '../src/domain/partition-owner.ts';
import { RuleBook } from '../src/domain/rule-book.ts';
import { createOpenEngine, type WindowEngine } from '../src/domain/window.ts';
import type { OutboxRecord } from '../src/ports.ts';

const KEYS = Number(process.env['TRACEHOUND_FLOOD_KEYS'] ?? 10_000_000);
const RECORD_MATCHES = 1_000;
const RECORDS = KEYS / RECORD_MATCHES;
/** Records between two hits of an attack: the flood must not push out what it has so far. */
const ATTACK_STEP = Math.floor(RECORDS / 30);
const FLUSH_GROUPS = 2_000;
const RANGE_MS = 300_000;
const BEGAN_MS = Date.UTC(2026, 0, 1);
const LATENESS_MS = 60_000;
const TOPIC = 'security.matches';
/** Groups of one rule in one organization (`ACTIVATION_LIMITS`), and the few of the others. */
const LIVE_MAX = ACTIVATION_LIMITS.rule_groups_max + 100;

const RULES = loadRuleSet([
  {
    path: 'flood.yml',
    content: `title: Failed login
id: failed
name: failed
logsource: {product: tracehound}
detection: {s: {event_type: auth.login.failure}, condition: s}
level: informational
---
title: Many failed logins
id: many
correlation: {type: event_count, rules: [failed], group-by: [actor.id], timespan: 10m, condition: {gte: 3}}
level: high
`,
  },
]);

function matchOf(of: { organization: string; actor: string; timeMs: number; offset: number }): Match {
  return {
    rule: 0,
    organization_id: of.organization,
    group_key: groupKeyOf([of.actor]),
    event_id: `${of.organization}-${of.offset}`,
    event_time: of.timeMs,
    step: 0,
    value: null,
    number: null,
    source_offset: of.offset,
    source_instance: null,
    source_seq: null,
    flags: 0,
  };
}

/** A thousand logins of people never seen before, and now and then one hit of an attack on somebody else. */
function batchOf(index: number): MatchBatch {
  const timeMs = BEGAN_MS + Math.floor((index / RECORDS) * RANGE_MS);
  const from = index * (RECORD_MATCHES + 1);
  const matches = Array.from({ length: RECORD_MATCHES }, (_, hit) =>
    matchOf({ organization: 'mallory', actor: `a${index}-${hit}`, timeMs, offset: from + hit }),
  );
  if (index % ATTACK_STEP === 0) {
    const actor = `victim-${Math.floor(index / ATTACK_STEP / 3)}`;
    matches.push(matchOf({ organization: 'acme', actor, timeMs, offset: from + RECORD_MATCHES }));
  }
  const isLast = index === RECORDS - 1;
  return {
    ...{ schema_rev: 1, cluster_id: 'local', src_topic: 'security.events', src_topic_id: 'events', src_partition: 0 },
    ...{ from, to: from + RECORD_MATCHES + 1, prev_to: from, watermark: timeMs - LATENESS_MS, sources_version: 1 },
    ...{ activation_id: 'a1', ruleset_id: RULES.rulesetId, depth: 0, end_of_input: isLast, matches },
  };
}

it('cardinality-bomb: ten million keys on a real Redis degrade the rule of that organization alone', {
  timeout: 1_800_000,
}, async () => {
  const stack = await testStack();
  const redis = await connectRedis(stack.redisStateUrl, { role: 'state' });
  await loadStateLibrary(redis);
  const namespace = stack.namespace();
  const registry = createMemoryRegistry();
  await registerRecords(registry, RECORD_NAMES);
  const codec = createAvroCodec({ registry });
  await codec.prepare(RECORD_NAMES);
  const book = new RuleBook();
  book.addRuleSet({ ruleset_id: RULES.rulesetId, files: RULES.files });
  book.activations.add(
    {
      ...{ schema_rev: 1, activation_id: 'a1', ruleset_id: RULES.rulesetId, lateness_ms: LATENESS_MS },
      ...{ clock_allowance_ms: 0, sources_version: 1, effective_at: 0, created_at: 0, principal: 'test' },
      sources: [{ topic: 'security.events', topic_id: 'events', partition: 0, effective_at: 0 }],
      ...{ reason: null, breakers: [], based_on: null, matches_topic_id: null, matches_partitions: null },
      ...ACTIVATION_LIMITS,
    },
    0,
  );
  const alerts: CorrelationAlert[] = [];
  const read = async ({ lane, value }: OutboxRecord): Promise<void> => {
    const decoded = await codec.decode(value);
    if (lane === 'alerts' && decoded.name === 'tracehound.pipeline.v1.CorrelationAlert') alerts.push(decoded.value);
  };
  let engine: WindowEngine | null = null;
  const takeOver = async (): Promise<PartitionOwner> => {
    const owner = new PartitionOwner({
      partition: 0,
      topicId: () => 'matches',
      store: createRedisStateStore({ redis, namespace, ttlMs: 3_600_000 }),
      outlet: {
        emit: async (records) => {
          for (const record of records) await read(record);
        },
      },
      progress: { committed: async () => null, commit: async () => undefined },
      openEngine: createOpenEngine({
        ...{ partition: 0, clusterId: 'local', codec, book },
        matches: { topic: TOPIC, topicId: 'matches', partitions: 1 },
        // Less than the groups of the flood need.
        memory: { packedBytesMax: 2 ** 24 },
        refreshRules: async () => undefined,
        onOpened: (opened) => {
          engine = opened;
        },
      }),
      nonce: randomUUID,
      faultPoint: () => undefined,
    });
    await owner.acquire();
    return owner;
  };
  const seen = { live: 0, cold: 0 };
  try {
    let owner = await takeOver();
    for (let index = 0; index < RECORDS; index++) {
      const record = { offset: BigInt(index), appendTimeMs: 0, batch: batchOf(index) };
      await owner.prepare([record]);
      owner.apply(record);
      if (owner.dirtyCount >= FLUSH_GROUPS) {
        await owner.flush();
        await owner.emit();
      }
      seen.live = Math.max(seen.live, engineOf(engine).liveGroups);
      seen.cold = Math.max(seen.cold, engineOf(engine).coldGroups);
      if (index === Math.floor(RECORDS / 2)) {
        await owner.flush();
        await owner.emit();
        // Another process goes on in the middle of it.
        owner = await takeOver();
        expect(engineOf(engine).liveGroups).toBe(await redis.hlen(`{${namespace}.p0}:groups`));
      }
    }
    await owner.flush();
    await owner.emit();

    expect(seen.live).toBeLessThanOrEqual(LIVE_MAX);
    expect(seen.cold).toBeGreaterThan(ACTIVATION_LIMITS.rule_groups_max / 10);
    const degraded = alerts.filter(({ kind }) => kind === 'DEGRADED');
    expect(new Set(degraded.map((alert) => alert.organization_id))).toEqual(new Set(['mallory']));
    expect(degraded.every(({ reason }) => reason === 'state_pressure')).toBe(true);
    const finals = alerts.filter(({ kind, organization_id }) => kind === 'FINAL' && organization_id === 'acme');
    expect(finals.map(({ group, degraded: isDegraded }) => [group[0]?.value, isDegraded]).sort()).toEqual(
      Array.from({ length: 10 }, (_, attack) => [`victim-${attack}`, false]),
    );
    expect(engineOf(engine).counters().evicted).toBeGreaterThan(KEYS - LIVE_MAX);
    expect(engineOf(engine).liveGroups).toBe(0);
    expect(await redis.hlen(`{${namespace}.p0}:groups`)).toBe(0);
  } finally {
    await redis.del(...['meta', 'groups', 'outbox'].map((part) => `{${namespace}.p0}:${part}`));
    redis.disconnect();
  }
});

function engineOf(engine: WindowEngine | null): WindowEngine {
  if (engine === null) throw new Error('no engine is open');
  return engine;
}
