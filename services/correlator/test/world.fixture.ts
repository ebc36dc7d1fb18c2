import { type AvroCodec, createAvroCodec, registerRecords, type SchemaRegistry } from '@tracehound/avro';
import { publishRuleSet } from '@tracehound/cli';
import {
  type CorrelationAlert,
  intakeTopicNames,
  type MatchBatch,
  markerHeaders,
  namespacedTopic,
  type TopicName,
  topicSettings,
} from '@tracehound/event-model';
import type { KafkaAdmin, KafkaClient, KafkaProducer, KafkaRecord } from '@tracehound/kafka';
import { loadRuleSet, type RuleFile } from '@tracehound/sigma';
import { replicated, waitFor } from '@tracehound/testkit';
import { eventRecord, type FinalLine, finalLine, TEST_RULES, type TestEvent } from './events.fixture.ts';

/** Of a correlator that is given Kafka, registry and store in memory; names that are asked for, and a quick pace. */
export const MEMORY_ENVIRONMENT = {
  TRACEHOUND_KAFKA_BROKERS: 'memory:1',
  TRACEHOUND_REGISTRY_URL: 'http://memory',
  TRACEHOUND_REDIS_STATE_URL: 'redis://memory',
  TRACEHOUND_CORRELATOR_TICK: '50ms',
  TRACEHOUND_CORRELATOR_FLUSH: '20ms',
  TRACEHOUND_CORRELATOR_COMMIT: '10ms',
} as const;

/** One namespace with topics, schemas and rules, and what tests do to it and ask of it. */
export type TestWorld = {
  readonly namespace: string;
  readonly kafka: KafkaClient;
  readonly codec: AvroCodec;
  readonly producer: KafkaProducer;
  readonly admin: KafkaAdmin;
  topic(name: TopicName): string;
  /** To `security.events`, or to a topic that mirrors it, with events of another cluster. */
  send(events: readonly TestEvent[], to?: { readonly topic?: string; readonly clusterId?: string }): Promise<void>;
  /** Closes every source partition for good, or those of one topic. */
  endInput(topic?: string): Promise<void>;
  /** All records of a topic in order of partition and offset. */
  records(name: TopicName | `${TopicName}.dlq`): Promise<readonly KafkaRecord[]>;
  alerts(): Promise<readonly CorrelationAlert[]>;
  /** What stage A has written to every matches partition. */
  matchBatches(): Promise<readonly MatchBatch[]>;
  /** Final alerts as the oracle words them, without repetitions, sorted. */
  finals(): Promise<readonly FinalLine[]>;
  /** Resolves when every matches partition has been applied to its end and all alerts are out. */
  settled(timeoutMs?: number): Promise<void>;
  /** Sum of the matches offsets stage B has committed. */
  committedByB(): Promise<bigint>;
  close(): Promise<void>;
};

export type TestWorldOptions = {
  readonly kafka: KafkaClient;
  readonly registry: SchemaRegistry;
  readonly namespace: string;
  readonly files?: readonly RuleFile[];
  /** Days by default, so that events may carry any recent time. */
  readonly latenessMs?: number;
  readonly publish?: boolean;
  /** Topics that mirror intake topics of other deployments. */
  readonly mirrored?: readonly string[];
  /** Those of them that the first activation lists; all by default. */
  readonly listed?: readonly string[];
  /** In-sync replicas that a write to a topic needs, of three; by default topics have one replica. */
  readonly inSyncOfThree?: (topic: string) => number;
};

export async function createWorld(options: TestWorldOptions): Promise<TestWorld> {
  const { kafka, namespace, mirrored = [] } = options;
  const admin = await kafka.admin();
  const topics = topicSettings({ profile: 'local', namespace, mirrored });
  await admin.applyTopics(options.inSyncOfThree ? replicated(topics, options.inSyncOfThree) : topics);
  await registerRecords(options.registry);
  const codec = createAvroCodec({ registry: options.registry });
  await codec.prepare(['tracehound.events.v1.AuthenticationEvent']);
  const producer = await kafka.producer();
  if (options.publish !== false) {
    await publishRuleSet({
      kafka,
      codec,
      namespace,
      files: options.files ?? TEST_RULES,
      latenessMs: options.latenessMs ?? 86_400_000,
      mirrored: options.listed ?? mirrored,
      principal: 'test',
    });
  }

  const { correlations } = loadRuleSet(options.files ?? TEST_RULES);
  const chainDepth = Math.max(0, ...correlations.map(({ depth }) => depth));
  const topic = (name: string): string => namespacedTopic(namespace, name as TopicName);

  async function records(name: string): Promise<readonly KafkaRecord[]> {
    const found: KafkaRecord[] = [];
    for (const { partition, low, high } of await admin.offsets(topic(name))) {
      if (low >= high) continue;
      for await (const record of kafka.read({ topic: topic(name), partition }, { from: low, until: high })) {
        found.push(record);
      }
    }
    return found;
  }

  async function alerts(): Promise<readonly CorrelationAlert[]> {
    const found: CorrelationAlert[] = [];
    for (const record of await records('security.alerts')) {
      const decoded = await codec.decode(record.value ?? Buffer.alloc(0));
      if (decoded.name === 'tracehound.pipeline.v1.CorrelationAlert') found.push(decoded.value);
    }
    return found;
  }

  async function matchBatches(): Promise<readonly MatchBatch[]> {
    const found: MatchBatch[] = [];
    for (const record of await records('security.matches')) {
      const decoded = await codec.decode(record.value ?? Buffer.alloc(0));
      if (decoded.name === 'tracehound.pipeline.v1.MatchBatch') found.push(decoded.value);
    }
    return found;
  }

  /** Nothing but ticks follows the end of input; every alert up to there must be acknowledged. */
  async function settled(timeoutMs = 30_000): Promise<void> {
    const name = topic('security.matches');
    const ends = new Map<number, Set<string>>();
    const read = new Map<number, bigint>();
    await waitFor(
      async () => {
        for (const { partition, low, high } of await admin.offsets(name)) {
          const from = read.get(partition) ?? low;
          if (from >= high) continue;
          for await (const record of kafka.read({ topic: name, partition }, { from, until: high })) {
            // Matches have no key; a record with one is the poison of a test.
            if (record.value === null || record.key !== null) continue;
            const decoded = await codec.decode(record.value);
            if (decoded.name !== 'tracehound.pipeline.v1.MatchBatch' || !decoded.value.end_of_input) continue;
            const { src_topic_id, src_partition, depth } = decoded.value;
            const seen = ends.get(partition) ?? new Set();
            ends.set(partition, seen.add(`${src_topic_id}/${src_partition}/${depth}`));
          }
          read.set(partition, high);
        }
        const partitions = await admin.partitionCount(name);
        // Every matches partition ends every depth of chains too (X11).
        const sources = (await sourcePartitions()).length + chainDepth * partitions;
        return ends.size === partitions && [...ends.values()].every((seen) => seen.size === sources);
      },
      { what: 'an end-of-input tick of every source in every matches partition', timeoutMs },
    );
    const highs = await highOffsets();
    await waitFor(
      async () => {
        const done = await admin.committed(group('correlator-b'), name);
        return done.every(({ partition, offset }) => (offset ?? 0n) >= (highs.get(partition) ?? 0n));
      },
      { what: 'stage b to acknowledge every alert of the matches log', timeoutMs },
    );
  }

  async function sourcePartitions() {
    const found = [];
    for (const name of intakeTopicNames(namespace, mirrored)) {
      for (const { partition } of await admin.offsets(name)) found.push({ topic: name, partition });
    }
    return found;
  }

  async function highOffsets(): Promise<ReadonlyMap<number, bigint>> {
    return new Map((await admin.offsets(topic('security.matches'))).map(({ partition, high }) => [partition, high]));
  }

  const group = (name: string): string => (namespace === '' ? name : `${namespace}.${name}`);

  return {
    namespace,
    kafka,
    codec,
    producer,
    admin,
    topic,
    records,
    alerts,
    matchBatches,
    settled,
    async send(events, { topic: to, clusterId } = {}) {
      const results = await producer.send(
        to ?? topic('security.events'),
        events.map((event) => ({
          key: `${event.organization}|${event.id}`,
          value: codec.encode('tracehound.events.v1.AuthenticationEvent', eventRecord(event, clusterId)),
        })),
      );
      for (const result of results) if (!result.ok) throw result.error;
    },
    async endInput(only) {
      for (const at of await sourcePartitions()) {
        if (only !== undefined && at.topic !== only) continue;
        await producer.sendTo(at, [{ key: null, value: null, headers: markerHeaders('end_of_input', at.topic) }]);
      }
    },
    async committedByB() {
      const all = await admin.committed(group('correlator-b'), topic('security.matches'));
      return all.reduce((sum, { offset }) => sum + (offset ?? 0n), 0n);
    },
    async finals() {
      const lines = new Set<FinalLine>();
      for (const alert of await alerts()) {
        if (alert.kind !== 'FINAL') continue;
        lines.add(
          finalLine({
            rule: alert.rule.rule_id,
            organization: alert.organization_id,
            group: alert.group[0]?.value,
            firstAt: alert.first_at,
            lastAt: alert.last_at,
            eventIds: alert.event_ids,
          }),
        );
      }
      return [...lines].sort();
    },
    async close() {
      await producer.close();
      await admin.close();
      await kafka.close();
    },
  };
}
