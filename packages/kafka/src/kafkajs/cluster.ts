import kafkajs, { type Broker, type Cluster, type Kafka } from 'kafkajs';
import { FAULTS, KafkaError } from '../errors.ts';

/** Leaders, partitions and addresses are looked up again at least so often. */
const METADATA_AGE_MS_MAX = 60_000;

export type KafkaJsCluster = {
  readonly cluster: Cluster;
  /** Metadata of the topic is loaded afterwards. */
  know(topic: string): Promise<void>;
  /** Asks a broker again, whatever the cache says. Concurrent calls share one request. */
  refresh(): Promise<void>;
  leader(topic: string, partition: number): number | null;
  broker(node: number): Promise<Broker>;
  close(): Promise<void>;
};

/**
 * Connections and metadata of kafkajs without its producer and consumer, whose retries lose acknowledged records and
 * whose fetcher jumps over offsets. The only public way to a cluster is the argument of a partition assigner, so a
 * consumer that is never connected is made for it.
 */
export async function openCluster(kafka: Kafka): Promise<KafkaJsCluster> {
  let found: Cluster | undefined;
  kafka.consumer({
    groupId: 'never-joined',
    allowAutoTopicCreation: false,
    metadataMaxAge: METADATA_AGE_MS_MAX,
    partitionAssigners: [
      (config) => {
        found = config.cluster;
        return kafkajs.PartitionAssigners.roundRobin(config);
      },
    ],
  });
  if (!found) throw new KafkaError('kafkajs did not show its cluster', FAULTS.invalidRequest);
  const cluster = found;
  await cluster.connect();
  const known = new Set<string>();
  return {
    cluster,
    know: async (topic) => {
      if (known.has(topic)) {
        await cluster.refreshMetadataIfNecessary();
        return;
      }
      await cluster.addMultipleTargetTopics([topic]);
      known.add(topic);
    },
    refresh: () => cluster.refreshMetadata(),
    leader: (topic, partition) => {
      const found = cluster.findTopicPartitionMetadata(topic).find((metadata) => metadata.partitionId === partition);
      return found === undefined || found.leader < 0 ? null : found.leader;
    },
    broker: (node) => cluster.findBroker({ nodeId: String(node) }),
    close: () => cluster.disconnect(),
  };
}
