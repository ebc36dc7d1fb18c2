import { Base, type BaseOptions, type ClusterMetadata, type Connection } from '@platformatic/kafka';
import { FAULTS, KafkaError } from '../errors.ts';
import type { TopicPartition } from '../port.ts';

/** Connections and metadata of `@platformatic/kafka` without its producer and consumer. */
export type Connections = {
  metadata(topic: string, options?: { refresh?: boolean }): Promise<ClusterMetadata>;
  leader(at: TopicPartition, options?: { refresh?: boolean }): Promise<number | null>;
  connection(node: number): Promise<Connection>;
  close(): Promise<void>;
};

const METADATA_AGE_MS_MAX = 60_000;

export function openConnections(options: BaseOptions): Connections {
  const base = new Base({ ...options, metadataMaxAge: METADATA_AGE_MS_MAX });
  const metadata = (topic: string, how?: { refresh?: boolean }): Promise<ClusterMetadata> =>
    base.metadata({ topics: [topic], forceUpdate: how?.refresh ?? false, autocreateTopics: false });
  return {
    metadata,
    leader: async (at, how) => {
      const found = (await metadata(at.topic, how)).topics.get(at.topic);
      if (!found) throw new KafkaError('the topic is not there', FAULTS.unknownTopic, { at });
      const leader = found.partitions[at.partition]?.leader;
      return leader === undefined || leader < 0 ? null : leader;
    },
    connection: async (node) => {
      const found = (await base.connectToBrokers([node])).get(node);
      if (!found) throw new KafkaError('the broker is not in the cluster', FAULTS.connectionRefused);
      return found;
    },
    close: () => base.close(),
  };
}
