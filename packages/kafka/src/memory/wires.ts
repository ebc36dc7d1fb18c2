import { sleepMs } from '../backoff.ts';
import { FAULTS, KafkaError, type KafkaFault } from '../errors.ts';
import { fetchedRecords, recordsAnswer } from '../fetched-records.ts';
import type { ConsumerWires, FetchAnswer, FetchRequest, FetchWire, ProducerWire } from '../wire.ts';
import type { MemoryBroker } from './broker.ts';

const NODE = 1;

export function classifyMemory(error: unknown): KafkaFault {
  return error instanceof KafkaError ? error.fault : FAULTS.unclassified;
}

export function openMemoryProducerWire(broker: MemoryBroker): ProducerWire {
  return {
    produce: async (target, records) => broker.append(target, records),
    partitionCount: async (topic) => broker.partitionCount(topic),
    close: () => Promise.resolve(),
  };
}

export function openMemoryFetchWire(broker: MemoryBroker): FetchWire {
  const closing = new AbortController();
  const answerTo = (request: FetchRequest): FetchAnswer => {
    const { topic, partition, offset: askedOffset } = request;
    try {
      const records = broker.slice(request, askedOffset, request.bytesMax);
      const { high: highWatermark } = broker.range(request);
      const nextOffset = askedOffset + BigInt(records.length);
      return recordsAnswer(request, { records: fetchedRecords(records), nextOffset, highWatermark });
    } catch (cause) {
      return { kind: 'fault', topic, partition, askedOffset, fault: classifyMemory(cause), cause };
    }
  };
  return {
    leader: async (at) => (broker.hasLeader(at) ? NODE : null),
    fetch: async (_node, requests, waitMsMax) => {
      let answers = requests.map(answerTo);
      const isEmpty = answers.every((answer) => answer.kind === 'records' && answer.records.count === 0);
      if (isEmpty && waitMsMax > 0) {
        const done = new AbortController();
        const signal = AbortSignal.any([done.signal, closing.signal]);
        await Promise.race([broker.nextAppend(signal), sleepMs(waitMsMax, signal)]);
        done.abort();
        answers = requests.map(answerTo);
      }
      return answers;
    },
    offsetRange: async (at) => broker.range(at),
    close: async () => closing.abort(),
  };
}

export function memoryConsumerWires(broker: MemoryBroker): ConsumerWires {
  return {
    classify: classifyMemory,
    openFetch: async () => openMemoryFetchWire(broker),
    join: async ({ groupId, topics }, events) => {
      const member = broker.join(groupId, topics, events);
      const beat = setInterval(() => events.alive(), 1_000);
      return {
        commit: async (at, offset, note) => {
          if (!broker.isMember(groupId, member)) {
            throw new KafkaError('the member is not in the group', FAULTS.rebalancing, { at });
          }
          broker.commit(groupId, at, offset, note);
        },
        close: async () => {
          clearInterval(beat);
          broker.leave(groupId, member);
        },
      };
    },
    committed: async (groupId, at) => broker.committed(groupId, at)?.offset ?? null,
    topicId: async (topic) => broker.topicId(topic),
  };
}
