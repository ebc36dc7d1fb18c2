import type { KafkaFault } from './errors.ts';
import type { KafkaRecord, OutgoingRecord, TopicPartition } from './port.ts';

/**
 * What a client library has to give us: single calls, no policy. Retries, batching, order, back-off, watchdogs and the
 * meaning of the port live in `guarded-producer.ts` and `group-consumer.ts`, once for all adapters.
 */

/** Total classification of anything a library throws. */
export type FaultClassifier = (error: unknown) => KafkaFault;

/** One connection set for writing. A wire that gave an indefinite answer is closed and replaced. */
export type ProducerWire = {
  /**
   * Exactly one attempt at one request for one partition with acks=all. Null: the answer did not name the partition.
   * Rejects with whatever the library throws.
   */
  produce(
    target: TopicPartition,
    records: readonly OutgoingRecord[],
    timeoutMs: number,
  ): Promise<{ baseOffset: bigint; appendTimeMs: number | null } | null>;
  partitionCount(topic: string): Promise<number>;
  close(): Promise<void>;
};

export type FetchRequest = TopicPartition & { readonly offset: bigint; readonly bytesMax: number };

/**
 * Records that came with an answer. They are made when a handler is about to get them: until then, in a buffer of thousands, they
 * need little more room than the bytes they came in, which no collector has to copy.
 */
export type FetchedRecords = {
  readonly count: number;
  /** What they take in a buffer, about. */
  readonly bytes: number;
  /** To be called once. */
  make(): readonly KafkaRecord[];
};

/** Answer for one partition: records from the asked offset on, or a fault that concerns this partition only. */
export type FetchAnswer = TopicPartition & { readonly askedOffset: bigint } & (
    | {
        readonly kind: 'records';
        readonly records: FetchedRecords;
        /** Where to go on: after the last record of the answer, also where it was a control record. */
        readonly nextOffset: bigint;
        readonly highWatermark: bigint;
      }
    | { readonly kind: 'fault'; readonly fault: KafkaFault; readonly cause: unknown }
  );

/** One connection set for reading, outside any group. */
export type FetchWire = {
  /** Leader of a partition; null while there is none. `refresh` bypasses the cache. */
  leader(partition: TopicPartition, options?: { refresh?: boolean }): Promise<number | null>;
  /** One fetch from one broker; waits at most `waitMsMax` for the first byte. Rejects when the broker cannot be asked. */
  fetch(node: number, requests: readonly FetchRequest[], waitMsMax: number): Promise<readonly FetchAnswer[]>;
  /** First kept and next offset. */
  offsetRange(partition: TopicPartition): Promise<{ low: bigint; high: bigint }>;
  close(): Promise<void>;
};

export type MembershipEvents = {
  /** The whole new assignment after a rebalance; everything held before is lost first. Called synchronously. */
  joined(assignment: readonly TopicPartition[]): void;
  /** A rebalance has begun: start nothing new. */
  rebalancing(): void;
  /** The member lives (heartbeat answered). */
  alive(): void;
  /** The member is gone for good: it must be made anew. */
  crashed(error: unknown): void;
};

/** One life of a group member. It never fetches. */
export type Membership = {
  commit(partition: TopicPartition, offset: bigint, note?: string): Promise<void>;
  /** Leaves the group and closes all connections. */
  close(): Promise<void>;
};

/** What the shared consumer needs from an adapter. */
export type ConsumerWires = {
  readonly classify: FaultClassifier;
  openFetch(topics: readonly string[]): Promise<FetchWire>;
  /** Resolves when the member has been started (not when it has joined); rejects when that is not possible now. */
  join(
    options: { groupId: string; topics: readonly string[]; sessionTimeoutMs: number },
    events: MembershipEvents,
  ): Promise<Membership>;
  committed(groupId: string, partition: TopicPartition): Promise<bigint | null>;
  /** UUID of the topic, asked of the broker each time. */
  topicId(topic: string): Promise<string>;
};

/** A line for the operator. Silent unless the client is given a logger. */
export type KafkaLogger = (
  level: 'debug' | 'info' | 'warn' | 'error',
  message: string,
  fields: Readonly<Record<string, unknown>>,
) => void;

export const silentLogger: KafkaLogger = () => undefined;
