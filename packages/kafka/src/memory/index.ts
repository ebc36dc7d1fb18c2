/**
 * Kafka in memory for unit tests of pipelines and for the offline command line: the real producer, consumer, fetch loop
 * and reader of this package over a broker that is a few maps. Several clients share one broker. Not for integration
 * tests, which run against real servers.
 */
import { GroupConsumer } from '../group-consumer.ts';
import { GuardedProducer } from '../guarded-producer.ts';
import { readPartition } from '../partition-reader.ts';
import type { KafkaAdmin, KafkaClient, KafkaRecord, TopicPartition, TopicSpec } from '../port.ts';
import { type KafkaLogger, silentLogger } from '../wire.ts';
import { WireHolder } from '../wire-holder.ts';
import { MemoryBroker, type ProduceFailure } from './broker.ts';
import { classifyMemory, memoryConsumerWires, openMemoryFetchWire, openMemoryProducerWire } from './wires.ts';

export type { ProduceFailure } from './broker.ts';

export type MemoryKafka = {
  /** A client of the shared broker. */
  client(options?: { logger?: KafkaLogger }): KafkaClient;
  /** Same as `applyTopics` of an admin, without one. */
  createTopics(specs: readonly (Pick<TopicSpec, 'topic' | 'partitions'> & Partial<TopicSpec>)[]): void;
  /** All records of a topic, by partition and offset. */
  records(topic: string): readonly KafkaRecord[];
  /**
   * The next produce request fails. By default the failure is definite, not retriable and nothing is written;
   * `{ indefinite: true, written: true }` is a lost acknowledgement.
   */
  failNextProduce(failure?: ProduceFailure): void;
  failNextFetches(times: number): void;
  failNextCommits(times: number): void;
  /** No reads and no writes while set, as without a leader. */
  setLeaderless(partition: TopicPartition, isLeaderless: boolean): void;
  /** Nobody may read from the topic, or be a member of the group, while set. */
  setRefused(what: 'topic' | 'group', name: string, isRefused: boolean): void;
  /** Retention: records below `low` are gone. */
  truncateBefore(partition: TopicPartition, low: bigint): void;
  /** All members get a new assignment. */
  rebalance(groupId: string): void;
  /** All members lose their session and join again. */
  expelMembers(groupId: string): void;
};

/** `now` gives the append times: milliseconds UTC. */
export function createMemoryKafka(options: { now: () => number }): MemoryKafka {
  const broker = new MemoryBroker(options.now);
  return {
    client: (clientOptions) => createMemoryClient(broker, clientOptions?.logger ?? silentLogger),
    createTopics: (specs) => {
      for (const spec of specs) broker.createTopic({ replicationFactor: 1, config: {}, ...spec });
    },
    records: (topic) => broker.allRecords(topic),
    failNextProduce: (failure = {}) => broker.failNextProduce(failure),
    failNextFetches: (times) => broker.failNextFetches(times),
    failNextCommits: (times) => broker.failNextCommits(times),
    setLeaderless: (partition, isLeaderless) => broker.setLeaderless(partition, isLeaderless),
    setRefused: (what, name, isRefused) => broker.setRefused(what, name, isRefused),
    truncateBefore: (partition, low) => broker.truncateBefore(partition, low),
    rebalance: (groupId) => broker.rebalance(groupId),
    expelMembers: (groupId) => broker.expelMembers(groupId),
  };
}

function createMemoryClient(broker: MemoryBroker, log: KafkaLogger): KafkaClient {
  const reading = new WireHolder(async () => openMemoryFetchWire(broker));
  const wires = memoryConsumerWires(broker);
  return {
    adapter: 'memory',
    carriesAppendTime: true,
    keepsCommitNotes: true,
    producer: async () =>
      new GuardedProducer({ open: async () => openMemoryProducerWire(broker), classify: classifyMemory, log }),
    consumer: (options) => new GroupConsumer(options, wires, log),
    admin: async () => createMemoryAdmin(broker),
    read: (partition, range) => readPartition(reading, classifyMemory, partition, range),
    close: () => reading.close(),
  };
}

function createMemoryAdmin(broker: MemoryBroker): KafkaAdmin {
  const partitionsOf = (topic: string): TopicPartition[] =>
    Array.from({ length: broker.partitionCount(topic) }, (_, partition) => ({ topic, partition }));
  return {
    listTopics: async () => broker.topicNames(),
    applyTopics: async (specs) => specs.map((spec) => broker.createTopic(spec)),
    deleteTopics: async (topics) => {
      for (const topic of topics) broker.deleteTopic(topic);
    },
    partitionCount: async (topic) => broker.partitionCount(topic),
    topicSetting: async (topics, name) => new Map(topics.map((topic) => [topic, broker.topicSetting(topic, name)])),
    topicIds: async (topics) => new Map(topics.map((topic) => [topic, broker.topicId(topic)])),
    offsets: async (topic) => partitionsOf(topic).map((at) => ({ partition: at.partition, ...broker.range(at) })),
    committed: async (groupId, topic) =>
      partitionsOf(topic).map((at) => ({
        partition: at.partition,
        offset: null,
        ...broker.committed(groupId, at),
      })),
    close: () => Promise.resolve(),
  };
}
