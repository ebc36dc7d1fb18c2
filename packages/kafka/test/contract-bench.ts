import type {
  ConsumerOptions,
  KafkaAdmin,
  KafkaClient,
  KafkaConsumer,
  KafkaProducer,
  KafkaRecord,
  OutgoingRecord,
  PartitionHandler,
  TopicPartition,
} from '../src/index.ts';

/** What a suite needs of an adapter under test. */
export type AdapterHarness = {
  client(): KafkaClient;
  /** A prefix for topics and groups that nothing else uses. */
  namespace(): string;
  close(): Promise<void>;
};

/** What the suite of the port needs beyond it. */
export type ContractHarness = AdapterHarness & {
  /** Retention, at once: records below `low` are gone. */
  truncateBefore(partition: TopicPartition, low: bigint): Promise<void>;
};

/** Shortest session that Kafka's default `group.min.session.timeout.ms` allows. */
export const SESSION_TIMEOUT_MS = 6_000;

export const numbered = (from: number, count: number): OutgoingRecord[] =>
  Array.from({ length: count }, (_, i) => ({ key: `k${from + i}`, value: Buffer.from(`v${from + i}`) }));

/** One adapter on the bench: its client, producer and admin, opened once per suite. */
export class ContractBench<Harness extends AdapterHarness = ContractHarness> {
  harness!: Harness;
  client!: KafkaClient;
  admin!: KafkaAdmin;
  producer!: KafkaProducer;
  private readonly consumers: KafkaConsumer[] = [];

  async open(open: () => Promise<Harness>): Promise<void> {
    this.harness = await open();
    this.client = this.harness.client();
    this.admin = await this.client.admin();
    this.producer = await this.client.producer();
  }

  async close(): Promise<void> {
    await Promise.all(this.consumers.map((consumer) => consumer.stop()));
    await this.producer.close();
    await this.admin.close();
    await this.client.close();
    await this.harness.close();
  }

  readonly createTopic = async (partitions: number, config: Record<string, string> = {}): Promise<string> => {
    const topic = `${this.harness.namespace()}.contract`;
    await this.admin.applyTopics([
      { topic, partitions, replicationFactor: 1, config: { 'message.timestamp.type': 'LogAppendTime', ...config } },
    ]);
    return topic;
  };

  readonly readAll = async (at: TopicPartition, range?: { from?: bigint; until?: bigint }): Promise<KafkaRecord[]> => {
    const records: KafkaRecord[] = [];
    for await (const record of this.client.read(at, range)) records.push(record);
    return records;
  };

  readonly consume = (
    topic: string,
    handler: Partial<PartitionHandler>,
    options: Partial<ConsumerOptions> = {},
  ): KafkaConsumer => {
    const consumer = this.client.consumer({
      groupId: `${topic}.group`,
      topics: [topic],
      sessionTimeoutMs: SESSION_TIMEOUT_MS,
      onFatal: (error) => {
        throw error;
      },
      handler: {
        assigned: async () => ({ kind: 'committed' }),
        batch: async () => undefined,
        revoked: async () => undefined,
        ...handler,
      },
      ...options,
    });
    this.consumers.push(consumer);
    return consumer;
  };
}
