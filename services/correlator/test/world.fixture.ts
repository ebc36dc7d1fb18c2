import { type AvroCodec, createAvroCodec, registerRecords, type SchemaRegistry } from '@tracehound/avro';
import { publishRuleSet } from '@tracehound/cli';
import { type CorrelationAlert, namespacedTopic, type TopicName, topicSettings } from '@tracehound/event-model';
import type { KafkaAdmin, KafkaClient, KafkaProducer, KafkaRecord } from '@tracehound/kafka';
import type { RuleFile } from '@tracehound/sigma';
import { waitFor } from '@tracehound/testkit';
import { eventRecord, type FinalLine, finalLine, TEST_RULES, type TestEvent } from './events.fixture.ts';

/** One namespace with topics, schemas and rules, and what tests do to it and ask of it. */
export type TestWorld = {
  readonly namespace: string;
  readonly kafka: KafkaClient;
  readonly codec: AvroCodec;
  readonly producer: KafkaProducer;
  readonly admin: KafkaAdmin;
  topic(name: TopicName): string;
  send(events: readonly TestEvent[]): Promise<void>;
  /** Closes every source partition for good. */
  endInput(): Promise<void>;
  /** All records of a topic in order of partition and offset. */
  records(name: TopicName | `${TopicName}.dlq`): Promise<readonly KafkaRecord[]>;
  alerts(): Promise<readonly CorrelationAlert[]>;
  /** Final alerts as the oracle words them, without repetitions, sorted. */
  finals(): Promise<readonly FinalLine[]>;
  /** Resolves when every matches partition has been applied to its end and all alerts are out. */
  settled(timeoutMs?: number): Promise<void>;
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
};

export async function createWorld(options: TestWorldOptions): Promise<TestWorld> {
  const { kafka, namespace } = options;
  const admin = await kafka.admin();
  await admin.applyTopics(topicSettings({ profile: 'local', namespace }));
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
      principal: 'test',
    });
  }

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

  /** Nothing follows an end of input but idle ticks, so the matches log counts as done when all finals that are due are out. */
  async function settled(timeoutMs = 30_000): Promise<void> {
    const ends = new Map<number, Set<string>>();
    await waitFor(
      async () => {
        for (const record of await records('security.matches')) {
          const decoded = await codec.decode(record.value ?? Buffer.alloc(0));
          if (decoded.name !== 'tracehound.pipeline.v1.MatchBatch' || !decoded.value.end_of_input) continue;
          const seen = ends.get(record.partition) ?? new Set();
          ends.set(record.partition, seen.add(`${decoded.value.src_topic_id}/${decoded.value.src_partition}`));
        }
        const partitions = await admin.partitionCount(topic('security.matches'));
        return ends.size === partitions && [...ends.values()].every((seen) => seen.size === 5);
      },
      { what: 'an end-of-input tick of every source in every matches partition', timeoutMs },
    );
    const { offset: highs } = await highOffsets();
    await waitFor(
      async () => {
        const done = await admin.committed(group('correlator-b'), topic('security.matches'));
        return highs.every((high, partition) => (done[partition]?.offset ?? 0n) >= high);
      },
      { what: 'stage b to acknowledge every alert of the matches log', timeoutMs },
    );
  }

  async function highOffsets(): Promise<{ offset: readonly bigint[] }> {
    const ranges = await admin.offsets(topic('security.matches'));
    return { offset: ranges.toSorted((a, b) => a.partition - b.partition).map((range) => range.high) };
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
    settled,
    async send(events) {
      const results = await producer.send(
        topic('security.events'),
        events.map((event) => ({
          key: `${event.organization}|${event.id}`,
          value: codec.encode('tracehound.events.v1.AuthenticationEvent', eventRecord(event)),
        })),
      );
      for (const result of results) if (!result.ok) throw result.error;
    },
    async endInput() {
      for (const name of ['security.events', 'security.telemetry']) {
        for (const { partition } of await admin.offsets(topic(name))) {
          await producer.sendTo({ topic: topic(name), partition }, [
            { key: null, value: null, headers: { th_marker: 'end_of_input' } },
          ]);
        }
      }
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
