import { type BaseOptions, type MessageRecord, ProduceAcks, produceV9 } from '@platformatic/kafka';
import { FAULTS, KafkaError } from '../errors.ts';
import type { OutgoingRecord, TopicPartition } from '../port.ts';
import type { ProducerWire } from '../wire.ts';
import { classifyPlatformatic } from './classify.ts';
import { openConnections } from './connections.ts';

/**
 * Single produce attempts over the raw Produce call (v9, KIP-482), because the producer of `@platformatic/kafka` drops
 * the append time from the answer and retries by itself.
 */
export function openPlatformaticProducerWire(options: BaseOptions, compression: 'none' | 'gzip'): ProducerWire {
  const connections = openConnections(options);
  let isStale = false;
  return {
    produce: async (target, records, timeoutMs) => {
      const refresh = isStale;
      isStale = false;
      const connection = await connections
        .leader(target, { refresh })
        .then((leader) => {
          if (leader === null) throw new KafkaError('the partition has no leader', FAULTS.notLeader, { at: target });
          return connections.connection(leader);
        })
        .catch((error: unknown) => {
          isStale = true;
          // Nothing has been sent yet, whatever went wrong here.
          const fault = { ...classifyPlatformatic(error), indefinite: false };
          throw new KafkaError('the leader cannot be reached', fault, { cause: error, at: target });
        });
      try {
        const response = await produceV9.api.async(
          connection,
          ProduceAcks.ALL,
          timeoutMs,
          records.map((record) => toMessage(target, record)),
          { compression },
        );
        if (typeof response === 'boolean') return null;
        const answer = response.responses
          .find((topic) => topic.name === target.topic)
          ?.partitionResponses.find((partition) => partition.index === target.partition);
        if (!answer) return null;
        const appendTimeMs = Number(answer.logAppendTimeMs);
        return { baseOffset: answer.baseOffset, appendTimeMs: appendTimeMs < 0 ? null : appendTimeMs };
      } catch (error) {
        if (classifyPlatformatic(error).staleMetadata) isStale = true;
        throw error;
      }
    },
    partitionCount: async (topic) => {
      const found = (await connections.metadata(topic)).topics.get(topic);
      if (!found) throw new KafkaError('the topic is not there', FAULTS.unknownTopic, { at: { topic } });
      return found.partitionsCount;
    },
    close: () => connections.close(),
  };
}

function toMessage(target: TopicPartition, record: OutgoingRecord): MessageRecord {
  const message: Omit<MessageRecord, 'key' | 'value'> & { key: Buffer | null; value: Buffer | null } = {
    topic: target.topic,
    partition: target.partition,
    key: typeof record.key === 'string' ? Buffer.from(record.key) : record.key,
    value: record.value,
  };
  if (record.headers) {
    const headers = new Map<Buffer, Buffer>();
    for (const [name, value] of Object.entries(record.headers)) {
      headers.set(Buffer.from(name), typeof value === 'string' ? Buffer.from(value) : value);
    }
    message.headers = headers;
  }
  // Its type forbids null although its writer encodes it as Kafka's null, which tombstones and markers need.
  return message as MessageRecord;
}
