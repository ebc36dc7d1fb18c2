import {
  Admin,
  type BaseOptions,
  ConfigResourceTypes,
  IncrementalAlterConfigOperationTypes,
} from '@platformatic/kafka';
import { backoffMs, sleepMs } from './backoff.ts';
import { FAULTS, KafkaError } from './errors.ts';
import { classifyPlatformatic } from './platformatic/classify.ts';
import { baseOptions } from './platformatic/options.ts';
import type { KafkaAdmin, KafkaClientOptions, TopicResult, TopicSpec } from './port.ts';
import { changeOf } from './topic-change.ts';

const EARLIEST = -2n;
const LATEST = -1n;
/** A busy broker hears of a new topic within a second or two; after this it is a fault. */
const KNOWN_MS_MAX = 15_000;

/**
 * The admin of both network adapters, over `@platformatic/kafka`: kafkajs knows neither topic ids nor incremental
 * changes of settings, and its own alter call resets what is not named.
 */
export function openAdmin(options: KafkaClientOptions): Promise<KafkaAdmin> {
  const settings: BaseOptions = baseOptions(options);
  const admin = new Admin({ ...settings });

  const call = async <T>(run: () => Promise<T>, topic?: string): Promise<T> => {
    try {
      return await run();
    } catch (cause) {
      const at = topic === undefined ? {} : { at: { topic } };
      throw new KafkaError('an administrative call failed', classifyPlatformatic(cause), { cause, ...at });
    }
  };
  const metadataOf = (topics: readonly string[]): ReturnType<Admin['metadata']> =>
    admin.metadata({ topics: [...topics], forceUpdate: true, autocreateTopics: false });
  const partitionCount = (topic: string): Promise<number> =>
    call(async () => {
      const found = (await metadataOf([topic])).topics.get(topic);
      if (!found) throw new KafkaError('the topic is not there', FAULTS.unknownTopic, { at: { topic } });
      return found.partitionsCount;
    }, topic);

  /** A controller answers for a new topic before its brokers, if they are busy, have heard of it. */
  async function untilKnown(topic: string): Promise<void> {
    const deadlineMs = performance.now() + KNOWN_MS_MAX;
    for (let attempt = 1; ; attempt++) {
      try {
        await partitionCount(topic);
        return;
      } catch (error) {
        const isUnknown = error instanceof KafkaError && error.code === FAULTS.unknownTopic.code;
        if (!isUnknown || performance.now() > deadlineMs) throw error;
        await sleepMs(backoffMs(attempt));
      }
    }
  }

  return Promise.resolve({
    listTopics: () => call(() => admin.listTopics()),
    applyTopics: (specs) =>
      call(async () => {
        const existing = new Set(await admin.listTopics());
        const done: TopicResult[] = [];
        for (const spec of specs) {
          if (existing.has(spec.topic)) {
            done.push(await adjustTopic(admin, spec, await partitionCount(spec.topic)));
            continue;
          }
          done.push({ topic: spec.topic, action: await createTopic(admin, spec) });
        }
        for (const { topic } of done.filter(({ topic }) => !existing.has(topic))) await untilKnown(topic);
        return done;
      }),
    deleteTopics: (topics) =>
      call(async () => {
        // Deleting what is not there takes 15 s of retries in some clients: ask first.
        const existing = new Set(await admin.listTopics());
        const found = topics.filter((topic) => existing.has(topic));
        if (found.length > 0) await admin.deleteTopics({ topics: found });
        admin.clearMetadata();
      }),
    partitionCount,
    topicSetting: (topics, name) =>
      call(async () => {
        const resources = topics.map((topic) => ({
          resourceType: ConfigResourceTypes.TOPIC,
          resourceName: topic,
          configurationKeys: [name],
        }));
        const described = topics.length === 0 ? [] : await admin.describeConfigs({ resources });
        return new Map(described.map(({ resourceName, configs }) => [resourceName, configs[0]?.value ?? '']));
      }),
    topicIds: (topics) =>
      call(async () => {
        const metadata = await metadataOf(topics);
        const ids = new Map<string, string>();
        for (const topic of topics) {
          const found = metadata.topics.get(topic);
          if (!found) throw new KafkaError('the topic is not there', FAULTS.unknownTopic, { at: { topic } });
          ids.set(topic, found.id);
        }
        return ids;
      }),
    offsets: (topic) =>
      call(async () => {
        const partitions = Array.from({ length: await partitionCount(topic) }, (_, partition) => partition);
        const at = async (timestamp: bigint): Promise<Map<number, bigint>> => {
          const request = {
            name: topic,
            partitions: partitions.map((partitionIndex) => ({ partitionIndex, timestamp })),
          };
          const listed = await admin.listOffsets({ topics: [request] });
          return new Map(listed.flatMap((t) => t.partitions.map((p) => [p.partitionIndex, p.offset] as const)));
        };
        const [low, high] = await Promise.all([at(EARLIEST), at(LATEST)]);
        return partitions.map((partition) => ({
          partition,
          low: low.get(partition) ?? 0n,
          high: high.get(partition) ?? 0n,
        }));
      }, topic),
    committed: (groupId, topic) =>
      call(async () => {
        const count = await partitionCount(topic);
        const partitionIndexes = Array.from({ length: count }, (_, partition) => partition);
        const groups = await admin.listConsumerGroupOffsets({
          groups: [{ groupId, topics: [{ name: topic, partitionIndexes }] }],
        });
        const found = new Map(
          groups
            .flatMap((group) => group.topics)
            .filter(({ name }) => name === topic)
            .flatMap(({ partitions }) => partitions.map((p) => [p.partitionIndex, p] as const)),
        );
        return partitionIndexes.map((partition) => {
          const known = found.get(partition);
          if (known === undefined || known.committedOffset < 0n) return { partition, offset: null };
          return { partition, offset: known.committedOffset, ...(known.metadata ? { note: known.metadata } : {}) };
        });
      }, topic),
    close: () => admin.close(),
  });
}

async function createTopic(admin: Admin, spec: TopicSpec): Promise<'created' | 'unchanged'> {
  try {
    await admin.createTopics({
      topics: [{ topic: spec.topic, partitions: spec.partitions, replicas: spec.replicationFactor }],
      configs: Object.entries(spec.config).map(([name, value]) => ({ name, value })),
    });
    return 'created';
  } catch (error) {
    // Two processes that start together both apply the list.
    if (hasProtocolError(error, 'TOPIC_ALREADY_EXISTS')) return 'unchanged';
    throw error;
  }
}

/** Only settings that differ are touched, one by one; partitions may grow, never shrink. */
async function adjustTopic(admin: Admin, spec: TopicSpec, partitions: number): Promise<TopicResult> {
  const [described] = await admin.describeConfigs({
    resources: [
      {
        resourceType: ConfigResourceTypes.TOPIC,
        resourceName: spec.topic,
        configurationKeys: Object.keys(spec.config),
      },
    ],
  });
  const current = new Map(described?.configs.map(({ name, value }) => [name, value]));
  const result = changeOf(spec, { partitions, config: current });
  const changed = (result.changes ?? []).filter(({ setting }) => setting in spec.config);
  if (changed.length > 0) {
    await admin.incrementalAlterConfigs({
      resources: [
        {
          resourceType: ConfigResourceTypes.TOPIC,
          resourceName: spec.topic,
          configs: changed.map(({ setting, after }) => ({
            name: setting,
            value: after,
            configOperation: IncrementalAlterConfigOperationTypes.SET,
          })),
        },
      ],
    });
  }
  if (spec.partitions > partitions && spec.fixedPartitions !== true) {
    await admin.createPartitions({ topics: [{ name: spec.topic, count: spec.partitions, assignments: null }] });
  }
  return result;
}

function hasProtocolError(error: unknown, apiId: string): boolean {
  const { findBy } = error as { findBy?: (property: string, value: unknown) => unknown };
  return typeof findBy === 'function' && Boolean(findBy.call(error, 'apiId', apiId));
}
