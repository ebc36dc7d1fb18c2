import kafkajs, { type KafkaConfig, type SASLOptions } from 'kafkajs';
import { openAdmin } from '../admin.ts';
import { GroupConsumer } from '../group-consumer.ts';
import { GuardedProducer } from '../guarded-producer.ts';
import { readPartition } from '../partition-reader.ts';
import type { KafkaAdmin, KafkaClient, KafkaClientOptions } from '../port.ts';
import { setUnpackedBytesMax, UNPACKED_BYTES_MAX } from '../unpack.ts';
import { type ConsumerWires, type KafkaLogger, silentLogger } from '../wire.ts';
import { WireHolder } from '../wire-holder.ts';
import { classifyKafkaJs } from './classify.ts';
import { registerCodecs } from './codecs.ts';
import { openKafkaJsFetchWire } from './fetch-wire.ts';
import { joinKafkaJsGroup } from './membership.ts';
import { readPlainBatches } from './plain-batches.ts';
import { writePlainProduces } from './plain-produces.ts';
import { openKafkaJsProducerWire } from './producer-wire.ts';
import { quietRequestQueue } from './quiet-request-queue.ts';

const CONNECT_TIMEOUT_MS = 3_000;
const REQUEST_TIMEOUT_MS = 15_000;

/**
 * Kafka through kafkajs 2.2.4, the default adapter. Carries the append time in both directions (X1). Topic ids and
 * settings come from the admin of `@platformatic/kafka`, since kafkajs has no call for them.
 */
export function createKafkaJsClient(options: KafkaClientOptions): KafkaClient {
  quietRequestQueue();
  registerCodecs();
  setUnpackedBytesMax(options.unpackedBatchBytesMax ?? UNPACKED_BYTES_MAX);
  readPlainBatches();
  writePlainProduces();
  const log = options.logger ?? silentLogger;
  const kafka = new kafkajs.Kafka(configOf(options, log));
  const reading = new WireHolder(() => openKafkaJsFetchWire(kafka));
  let admin: Promise<KafkaAdmin> | null = null;
  const sharedAdmin = (): Promise<KafkaAdmin> => {
    admin ??= openAdmin(options);
    return admin;
  };
  const wires: ConsumerWires = {
    classify: classifyKafkaJs,
    openFetch: () => openKafkaJsFetchWire(kafka),
    join: (membership, events) => joinKafkaJsGroup(kafka, membership, events),
    committed: async (groupId, at) => {
      const offsets = await (await sharedAdmin()).committed(groupId, at.topic);
      return offsets.find(({ partition }) => partition === at.partition)?.offset ?? null;
    },
    topicId: async (topic) => {
      const ids = await (await sharedAdmin()).topicIds([topic]);
      // `topicIds` rejects for a topic that is not there.
      return ids.get(topic) ?? '';
    },
  };
  return {
    adapter: 'kafkajs',
    carriesAppendTime: true,
    keepsCommitNotes: true,
    producer: async () =>
      new GuardedProducer({
        open: () => openKafkaJsProducerWire(kafka, options.compression ?? 'none'),
        classify: classifyKafkaJs,
        log,
      }),
    consumer: (consumerOptions) => new GroupConsumer(consumerOptions, wires, log),
    admin: () => openAdmin(options),
    read: (partition, range) => readPartition(reading, classifyKafkaJs, partition, range),
    close: async () => {
      await reading.close();
      await (await admin)?.close();
      admin = null;
    },
  };
}

function configOf(options: KafkaClientOptions, log: KafkaLogger): KafkaConfig {
  return {
    clientId: options.clientId,
    brokers: [...options.brokers],
    connectionTimeout: CONNECT_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    // Retries of single calls while connecting; those of produce, fetch and join are ours.
    retry: { retries: 4, initialRetryTime: 100, maxRetryTime: 1_000 },
    ...(options.tls ? { ssl: { ...options.tls } } : {}),
    ...(options.sasl ? { sasl: saslOf(options.sasl) } : {}),
    logLevel: kafkajs.logLevel.WARN,
    logCreator: () => (entry) => {
      // Its messages vary and may quote addresses: one constant message of ours, theirs as a field.
      const level = entry.level === kafkajs.logLevel.ERROR ? 'warn' : 'debug';
      log(level, 'kafkajs says', { namespace: entry.namespace, text: entry.log.message });
    },
  };
}

function saslOf(sasl: NonNullable<KafkaClientOptions['sasl']>): SASLOptions {
  const { username, password } = sasl;
  switch (sasl.mechanism) {
    case 'plain':
      return { mechanism: 'plain', username, password };
    case 'scram-sha-256':
      return { mechanism: 'scram-sha-256', username, password };
    case 'scram-sha-512':
      return { mechanism: 'scram-sha-512', username, password };
  }
}
