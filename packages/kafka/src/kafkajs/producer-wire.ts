import { CompressionTypes, type Kafka, type Message } from 'kafkajs';
import { FAULTS, KafkaError } from '../errors.ts';
import type { OutgoingRecord, TopicPartition } from '../port.ts';
import type { ProducerWire } from '../wire.ts';
import { classifyKafkaJs } from './classify.ts';
import { openCluster } from './cluster.ts';

/** What kafkajs returns from a produce request (v3-v7); its types say `any`. */
type ProduceResponse = {
  readonly topics: readonly {
    readonly topicName: string;
    readonly partitions: readonly { partition: number; baseOffset: string; logAppendTime: string }[];
  }[];
};

/** Single produce attempts over kafkajs: one request, one topic, one partition, acks=all. */
export async function openKafkaJsProducerWire(kafka: Kafka, compression: 'none' | 'gzip'): Promise<ProducerWire> {
  const connection = await openCluster(kafka);
  let isStale = false;
  return {
    produce: async (target, records, timeoutMs) => {
      try {
        await connection.know(target.topic);
        if (isStale) {
          isStale = false;
          await connection.refresh();
        }
      } catch (error) {
        // Nothing has been sent yet, whatever went wrong here.
        const fault = classifyKafkaJs(error);
        throw new KafkaError(
          'metadata could not be loaded',
          { ...fault, indefinite: false },
          { cause: error, at: target },
        );
      }
      const leader = connection.leader(target.topic, target.partition);
      if (leader === null) {
        isStale = true;
        throw new KafkaError('the partition has no leader', FAULTS.notLeader, { at: target });
      }
      try {
        const broker = await connection.broker(leader).catch((error: unknown) => {
          throw new KafkaError('the leader cannot be reached', FAULTS.connectionRefused, { cause: error, at: target });
        });
        // `any` in the types of kafkajs.
        const response = (await broker.produce({
          topicData: [
            { topic: target.topic, partitions: [{ partition: target.partition, messages: records.map(toMessage) }] },
          ],
          acks: -1,
          timeout: timeoutMs,
          compression: compression === 'gzip' ? CompressionTypes.GZIP : CompressionTypes.None,
        })) as ProduceResponse;
        return answerFor(response, target);
      } catch (error) {
        if (classifyKafkaJs(error).staleMetadata) isStale = true;
        throw error;
      }
    },
    partitionCount: async (topic) => {
      await connection.know(topic);
      const count = connection.cluster.findTopicPartitionMetadata(topic).length;
      if (count === 0) throw new KafkaError('the topic has no partitions', FAULTS.unknownTopic, { at: { topic } });
      return count;
    },
    close: () => connection.close(),
  };
}

function answerFor(
  response: ProduceResponse,
  target: TopicPartition,
): { baseOffset: bigint; appendTimeMs: number | null } | null {
  const answer = response.topics
    .find((topic) => topic.topicName === target.topic)
    ?.partitions.find((partition) => partition.partition === target.partition);
  if (!answer) return null;
  const appendTimeMs = Number(answer.logAppendTime);
  return { baseOffset: BigInt(answer.baseOffset), appendTimeMs: appendTimeMs < 0 ? null : appendTimeMs };
}

function toMessage(record: OutgoingRecord): Message {
  return record.headers === undefined
    ? { key: record.key, value: record.value }
    : { key: record.key, value: record.value, headers: { ...record.headers } };
}
