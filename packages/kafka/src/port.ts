/** A partition of a topic. */
export type TopicPartition = { readonly topic: string; readonly partition: number };

export type KafkaHeaders = Readonly<Record<string, Buffer | string>>;

/** A record as read from the log. `appendTimeMs` is the broker's LogAppendTime (X1). */
export type KafkaRecord = TopicPartition & {
  readonly offset: bigint;
  readonly appendTimeMs: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: Readonly<Record<string, Buffer>>;
};

/** A record to be written. */
export type OutgoingRecord = {
  readonly key: Buffer | string | null;
  readonly value: Buffer | null;
  readonly headers?: KafkaHeaders;
};

/** Where one record landed. */
export type ProducedRecord = TopicPartition & { readonly offset: bigint; readonly appendTimeMs: number | null };

/** Per record, in the order given: durable on all in-sync replicas, or the reason why that is not known. */
export type ProduceResult =
  | { readonly ok: true; readonly record: ProducedRecord }
  | { readonly ok: false; readonly error: unknown };

/**
 * Writes with acks=all. *Guarded* (ARCHITECTURE 3.2): one request per partition, the answer is checked to name the
 * partition, what is missing is sent again, and an instance is dropped after an indefinite error. At-least-once:
 * after an indefinite error a record may be in the log twice, so consumers deduplicate by event id (X6).
 */
export type KafkaProducer = {
  /**
   * All records to one partition in one request, in order. Resolves with the base offset when acknowledged;
   * retries inside until `timeoutMs`; rejects with `KafkaProduceError` when the result is not known.
   */
  sendTo(
    target: TopicPartition,
    records: readonly OutgoingRecord[],
    options?: { timeoutMs?: number },
  ): Promise<{ baseOffset: bigint; appendTimeMs: number | null }>;
  /** Partition by murmur2 of the key (null key: round robin); never rejects, each record has its own result. */
  send(
    topic: string,
    records: readonly OutgoingRecord[],
    options?: { timeoutMs?: number },
  ): Promise<readonly ProduceResult[]>;
  close(): Promise<void>;
};

/** Where a newly assigned partition starts. `committed` falls back to the earliest offset of the log. */
export type StartPosition =
  | { readonly kind: 'committed' }
  | { readonly kind: 'earliest' }
  | { readonly kind: 'offset'; readonly offset: bigint };

/** Records of one partition in log order; `highWatermark` is the next offset the broker will give. */
export type KafkaBatch = TopicPartition & { readonly records: readonly KafkaRecord[]; readonly highWatermark: bigint };

/**
 * What a service does with partitions. Calls for one partition never overlap; partitions run concurrently.
 * kafkajs has no rebalance hook, so `revoked` may come late or not at all: effects must be fenced (X5, X8, X15).
 */
export type PartitionHandler = {
  /** Before the first batch of each assignment; the answer is where reading starts. Rejecting is retried with backoff. */
  assigned(partition: TopicPartition): Promise<StartPosition>;
  /**
   * Resolve = done with these records (not yet committed: see `KafkaConsumer.commit`). Reject = the partition is
   * paused, backs off (exponential, jitter, ceiling) and gets the same records again. `InvariantError` stops the
   * consumer with `onFatal`.
   */
  batch(batch: KafkaBatch): Promise<void>;
  /** No longer ours, as soon as it is known. */
  revoked(partition: TopicPartition): Promise<void>;
};

/** What brokers refuse for a reason that no retry mends, such as a right that was revoked or a codec that nobody knows. */
export type KafkaRefusal = {
  /** What is not read; null: the group does not take the consumer as a member, so nothing is. */
  readonly partition: TopicPartition | null;
  /** `SEC_KAFKA_…` of the fault. */
  readonly code: string;
};

export type KafkaConsumer = {
  start(): Promise<void>;
  /**
   * `offset` is the next one to read, as everywhere in Kafka. Errors are retried inside; lag tools only (X8, X15). `note` is kept with
   * the offset where the client `keepsCommitNotes`; brokers take 4,096 bytes.
   */
  commit(partition: TopicPartition, offset: bigint, note?: string): Promise<void>;
  /** The next batch of this partition starts at `offset`; batches already fetched are discarded. */
  seek(partition: TopicPartition, offset: bigint): void;
  pause(partition: TopicPartition): void;
  resume(partition: TopicPartition): void;
  /** Partitions held now. */
  assignment(): readonly TopicPartition[];
  /**
   * What it is refused now; empty while it may do all it does. A refusal stands until the brokers do what they refused, also while
   * none of them can be asked. For readiness: a consumer goes on by itself as soon as it may.
   */
  refusals(): readonly KafkaRefusal[];
  /** Leaves the group after the running batches have ended. */
  stop(): Promise<void>;
};

export type ConsumerOptions = {
  readonly groupId: string;
  readonly topics: readonly string[];
  readonly handler: PartitionHandler;
  /** A partition that could not be processed for good: the service must stop with a non-zero exit. */
  readonly onFatal: (error: unknown) => void;
  /** Default 30,000 ms. */
  readonly sessionTimeoutMs?: number;
  /** Upper bound of one fetch per partition; default 1 MiB. */
  readonly partitionBytesMax?: number;
};

export type TopicSpec = {
  readonly topic: string;
  readonly partitions: number;
  readonly replicationFactor: number;
  readonly config: Readonly<Record<string, string>>;
  /** Default false. True: an existing topic with fewer partitions is left so, and the answer is `kept`. */
  readonly fixedPartitions?: boolean;
};

/** `kept`: nothing was changed, and the topic has fewer partitions than asked for, whose number is fixed. */
export type TopicChange = 'created' | 'changed' | 'unchanged' | 'kept';

/** What was done to a topic. */
export type TopicResult = {
  readonly topic: string;
  readonly action: TopicChange;
  /** With `changed`: settings by name, and `partitions`, as they were and as they are now. */
  readonly changes?: readonly { readonly setting: string; readonly before: string | null; readonly after: string }[];
  /** With `changed`: settings were, but the fixed number of partitions was not. */
  readonly partitionsKept?: true;
};

export type KafkaAdmin = {
  listTopics(): Promise<readonly string[]>;
  /**
   * Creates what is missing, adjusts changed settings; never shrinks or deletes. Returns what it did per topic, once a broker knows
   * what was created.
   */
  applyTopics(specs: readonly TopicSpec[]): Promise<readonly TopicResult[]>;
  deleteTopics(topics: readonly string[]): Promise<void>;
  partitionCount(topic: string): Promise<number>;
  /** The value of one setting per topic, defaults of the broker included. Rejects when a topic is not there. */
  topicSetting(topics: readonly string[], name: string): Promise<ReadonlyMap<string, string>>;
  /** UUID of the topic as the broker gave it; changes when a topic is deleted and made again (X5). */
  topicIds(topics: readonly string[]): Promise<ReadonlyMap<string, string>>;
  /** Next offset (`high`) and first kept offset (`low`) per partition. */
  offsets(topic: string): Promise<readonly { partition: number; low: bigint; high: bigint }[]>;
  /** Committed offset per partition, null where none; `note` as it was committed with it. */
  committed(
    groupId: string,
    topic: string,
  ): Promise<readonly { partition: number; offset: bigint | null; note?: string }[]>;
  close(): Promise<void>;
};

/** One cluster. Everything else of this package is built from it. */
export type KafkaClient = {
  /** `kafkajs`, `platformatic` or `memory`. */
  readonly adapter: string;
  /** Whether fetch and produce answers carry LogAppendTime; without it A and B must not run on this adapter (X1). */
  readonly carriesAppendTime: boolean;
  /** Whether a note goes with a committed offset. The consumer of `@platformatic/kafka` has no place for one. */
  readonly keepsCommitNotes: boolean;
  producer(): Promise<KafkaProducer>;
  consumer(options: ConsumerOptions): KafkaConsumer;
  admin(): Promise<KafkaAdmin>;
  /**
   * Reads one partition without a group from `from` (default: earliest) until `until` (default: the high watermark
   * at the call), in order, without committing. For compacted rule topics, replay, tests.
   */
  read(partition: TopicPartition, range?: { from?: bigint; until?: bigint }): AsyncIterable<KafkaRecord>;
  close(): Promise<void>;
};

export type KafkaClientOptions = {
  readonly brokers: readonly string[];
  readonly clientId: string;
  readonly tls?: {
    readonly ca?: string;
    readonly cert?: string;
    readonly key?: string;
    readonly rejectUnauthorized?: boolean;
  };
  readonly sasl?: {
    readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512';
    readonly username: string;
    readonly password: string;
  };
  /** What the client did and why, constant messages with fields; silent when absent. Never payloads or credentials. */
  readonly logger?: (
    level: 'debug' | 'info' | 'warn' | 'error',
    message: string,
    fields: Readonly<Record<string, unknown>>,
  ) => void;
  /** Codec of produced batches; default `none`. */
  readonly compression?: 'none' | 'gzip';
  /**
   * Bytes that one fetched batch may take unpacked; default 32 MiB. A larger one is `SEC_KAFKA_BATCH_TOO_LARGE`: its partition halts,
   * named with its offset, until the bound is raised or the batch is gone; others go on. One bound a process: that of the client made last.
   */
  readonly unpackedBatchBytesMax?: number;
};
