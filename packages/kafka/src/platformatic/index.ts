import { openAdmin } from '../admin.ts';
import { GroupConsumer } from '../group-consumer.ts';
import { GuardedProducer } from '../guarded-producer.ts';
import { readPartition } from '../partition-reader.ts';
import type { KafkaAdmin, KafkaClient, KafkaClientOptions } from '../port.ts';
import { boundPlatformaticCodecs, setUnpackedBytesMax, UNPACKED_BYTES_MAX } from '../unpack.ts';
import { type ConsumerWires, silentLogger } from '../wire.ts';
import { WireHolder } from '../wire-holder.ts';
import { classifyPlatformatic } from './classify.ts';
import { openPlatformaticFetchWire } from './fetch-wire.ts';
import { joinPlatformaticGroup } from './membership.ts';
import { baseOptions } from './options.ts';
import { openPlatformaticProducerWire } from './producer-wire.ts';

/**
 * Kafka through `@platformatic/kafka` 2.12, the second adapter. It reads raw batches and answers, so it carries the
 * append time in both directions (X1).
 */
export function createPlatformaticClient(options: KafkaClientOptions): KafkaClient {
  boundPlatformaticCodecs();
  setUnpackedBytesMax(options.unpackedBatchBytesMax ?? UNPACKED_BYTES_MAX);
  const log = options.logger ?? silentLogger;
  // One try per call: the retries around them are ours, and counted.
  const settings = { ...baseOptions(options), retries: 1 };
  const reading = new WireHolder(async () => openPlatformaticFetchWire(settings));
  let admin: Promise<KafkaAdmin> | null = null;
  const sharedAdmin = (): Promise<KafkaAdmin> => {
    admin ??= openAdmin(options);
    return admin;
  };
  const wires: ConsumerWires = {
    classify: classifyPlatformatic,
    openFetch: async () => openPlatformaticFetchWire(settings),
    join: (group, events) => joinPlatformaticGroup(baseOptions(options), group, events),
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
    adapter: 'platformatic',
    carriesAppendTime: true,
    keepsCommitNotes: false,
    producer: async () =>
      new GuardedProducer({
        open: async () => openPlatformaticProducerWire(settings, options.compression ?? 'none'),
        classify: classifyPlatformatic,
        log,
      }),
    consumer: (consumerOptions) => new GroupConsumer(consumerOptions, wires, log),
    admin: () => openAdmin(options),
    read: (partition, range) => readPartition(reading, classifyPlatformatic, partition, range),
    close: async () => {
      await reading.close();
      await (await admin)?.close();
      admin = null;
    },
  };
}
