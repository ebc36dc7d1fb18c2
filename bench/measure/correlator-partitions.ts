import { setTimeout as delay } from 'node:timers/promises';
import { type AvroCodec, createAvroCodec, createMemoryRegistry, registerRecords } from '@tracehound/avro';
import { ACTIVATION_LIMITS, type EngineMemory } from '@tracehound/correlation';
import { RECORD_NAMES, type RuleActivation } from '@tracehound/event-model';
import type { KafkaRecord } from '@tracehound/kafka';
import type { Redis } from '@tracehound/redis';
import type { RuleFile, RuleSetCompiled } from '@tracehound/sigma';
import { createRedisStateStore } from '../../services/correlator/src/adapters/redis-state-store.ts';
import type { SourceRef } from '../../services/correlator/src/domain/covered-range.ts';
import { PartitionOwner } from '../../services/correlator/src/domain/partition-owner.ts';
import { RuleBook } from '../../services/correlator/src/domain/rule-book.ts';
import { createOpenEngine, type WindowEngine } from '../../services/correlator/src/domain/window.ts';
import { type CorrelatePath, createCorrelatePath } from '../../services/correlator/src/pipeline.ts';
import type { OutboxRecord } from '../../services/correlator/src/ports.ts';
import { FlushPolicy } from '../../services/correlator/src/stages/flush.ts';
import { workloadRules } from '../workload/rules.ts';

export const DETECTIONS = 100;
export const LATENESS_MS = 120_000;
/** Partitions of security.matches in the profile `local`. */
export const TARGETS = 4;
export const SOURCE: SourceRef = { topic: 'security.events', topicId: 'bench-events', partition: 0 };
export const MATCHES: Omit<SourceRef, 'partition'> = { topic: 'security.matches', topicId: 'bench-matches' };
const PACING = { flushMs: 150, flushGapMs: 10, dirtyGroupsMax: 2_000, commitMs: 1_000, isSaturated: () => true };

export type OpenPartitions = {
  readonly codec: AvroCodec;
  /** Emitted, acknowledged at once. */
  readonly alerts: OutboxRecord[];
  readonly partitions: readonly {
    readonly owner: PartitionOwner;
    readonly path: CorrelatePath;
    readonly flushPolicy: FlushPolicy;
  }[];
  /** Engines of the partitions that are held. */
  readonly engines: ReadonlyMap<number, WindowEngine>;
};

/** 100 detections and 10 correlations. */
export function ruleFiles(): readonly RuleFile[] {
  return [{ path: 'workload.yml', content: workloadRules(DETECTIONS, true) }];
}

export function activationOf(rules: RuleSetCompiled): RuleActivation {
  return {
    schema_rev: 1,
    activation_id: 'bench',
    ruleset_id: rules.rulesetId,
    lateness_ms: LATENESS_MS,
    clock_allowance_ms: 1_000,
    sources_version: 1,
    sources: [{ topic: SOURCE.topic, topic_id: SOURCE.topicId, partition: 0, effective_at: 0 }],
    effective_at: 0,
    created_at: 0,
    principal: 'bench',
    reason: null,
    breakers: [],
    based_on: null,
    matches_topic_id: null,
    matches_partitions: null,
    ...ACTIVATION_LIMITS,
  };
}

/** Stage B of so many matches partitions, all but Kafka; not acquired yet. */
export async function openPartitions(of: {
  readonly rules: RuleSetCompiled;
  readonly redis: Redis;
  readonly namespace: string;
  readonly count: number;
  /** How much of the state is in memory; default: as the engine has it. */
  readonly memory?: Partial<EngineMemory>;
}): Promise<OpenPartitions> {
  const { rules, redis, namespace, count, memory } = of;
  const registry = createMemoryRegistry();
  await registerRecords(registry, RECORD_NAMES);
  const codec = createAvroCodec({ registry });
  await codec.prepare(RECORD_NAMES);
  const book = new RuleBook();
  book.addRuleSet({ ruleset_id: rules.rulesetId, files: rules.files });
  book.activations.add(activationOf(rules), 0);
  const alerts: OutboxRecord[] = [];
  const engines = new Map<number, WindowEngine>();
  const store = createRedisStateStore({ redis, namespace, ttlMs: 3_600_000 });
  const partitions = Array.from({ length: count }, (_, partition) => {
    const owner = new PartitionOwner({
      partition,
      topicId: () => MATCHES.topicId,
      store,
      outlet: { emit: async (records) => void alerts.push(...records) },
      progress: { committed: async () => null, commit: async () => undefined },
      openEngine: createOpenEngine({
        partition,
        matches: { ...MATCHES, partitions: count },
        clusterId: 'bench',
        codec,
        ...(memory ? { memory } : {}),
        book,
        refreshRules: async () => undefined,
        onOpened: (engine) => engines.set(partition, engine),
      }),
      nonce: () => `bench-${partition}`,
      faultPoint: () => undefined,
    });
    const flushPolicy = new FlushPolicy({ clock: { steadyMs: () => performance.now() }, sleep: delay, ...PACING });
    const path = createCorrelatePath({
      owner,
      codec,
      counter: { consumed: () => undefined, verdict: () => undefined },
      deadLetters: async () => undefined,
      deadLetterLimit: { admit: () => undefined },
      ensureRules: () => undefined,
      breathe: () => undefined,
      flushPolicy,
    });
    return { owner, path, flushPolicy };
  });
  return { codec, alerts, partitions, engines };
}

/** CPU seconds of the server so far, by its own count. */
export async function redisCpu(redis: Redis): Promise<number> {
  const info = await redis.info('cpu');
  return ['used_cpu_sys', 'used_cpu_user'].reduce(
    (sum, name) => sum + Number(new RegExp(`${name}:([\\d.]+)`).exec(info)?.[1] ?? 0),
    0,
  );
}

export function recordOf(
  topic: string,
  at: { readonly partition: number; readonly offset: bigint; readonly value: Buffer | null },
): KafkaRecord {
  return { topic, ...at, appendTimeMs: 0, key: null, headers: {} };
}
