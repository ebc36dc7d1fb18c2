import type { Kafka } from 'kafkajs';
import { FAULTS, KafkaError } from '../errors.ts';
import { bytesOfRecord, RECORD_BYTES, recordsAnswer } from '../fetched-records.ts';
import { isUnreadableBatch, oneByOne } from '../one-by-one.ts';
import type { KafkaRecord, TopicPartition } from '../port.ts';
import type { FetchAnswer, FetchedRecords, FetchRequest, FetchWire } from '../wire.ts';
import { classifyKafkaJs } from './classify.ts';
import { openCluster } from './cluster.ts';
import { PlainMessage } from './plain-batch.ts';

const FETCH_BYTES_MAX = 32 * 1024 * 1024;
const READ_COMMITTED = 1;
const LATEST = -1;
const EARLIEST = -2;

/** One record as kafkajs decodes it (record batch format 2). */
type Message = {
  readonly offset: string;
  readonly timestamp: string;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: Readonly<Record<string, Buffer | readonly Buffer[] | null>>;
  readonly isControlRecord: boolean;
  readonly batchContext?: {
    readonly firstOffset: string;
    readonly lastOffsetDelta: number;
    readonly inTransaction: boolean;
    readonly producerId: string;
  };
};

type PartitionResponse = {
  readonly partition: number;
  readonly highWatermark: string;
  readonly abortedTransactions: readonly { producerId: string; firstOffset: string }[];
  readonly messages: readonly Message[];
};

type FetchResponse = { readonly responses: readonly { topicName: string; partitions: readonly PartitionResponse[] }[] };

/** Fetch and ListOffsets over kafkajs, without its consumer. */
export async function openKafkaJsFetchWire(kafka: Kafka): Promise<FetchWire> {
  const connection = await openCluster(kafka);

  const fetchFrom = async (
    node: number,
    requests: readonly FetchRequest[],
    waitMsMax: number,
  ): Promise<readonly FetchAnswer[]> => {
    const broker = await connection.broker(node);
    // `any` in the types of kafkajs.
    const response = (await broker.fetch({
      maxWaitTime: waitMsMax,
      minBytes: 1,
      maxBytes: FETCH_BYTES_MAX,
      isolationLevel: READ_COMMITTED,
      topics: requests.map((request) => ({
        topic: request.topic,
        partitions: [{ partition: request.partition, fetchOffset: String(request.offset), maxBytes: request.bytesMax }],
      })),
    })) as FetchResponse;
    const answers: FetchAnswer[] = [];
    for (const { topicName, partitions } of response.responses) {
      for (const partition of partitions) {
        const request = requests.find((r) => r.topic === topicName && r.partition === partition.partition);
        if (request) answers.push(answerOf(request, partition));
      }
    }
    return answers;
  };

  return {
    leader: async (at, options) => {
      await connection.know(at.topic);
      if (options?.refresh) await connection.refresh();
      return connection.leader(at.topic, at.partition);
    },
    fetch: async (node, requests, waitMsMax) => {
      try {
        return await fetchFrom(node, requests, waitMsMax);
      } catch (error) {
        if (!isOfOnePartition(error)) throw error;
        // kafkajs throws the whole answer away when one partition has an error.
        const fetchOne = (request: FetchRequest) => fetchFrom(node, [request], 0);
        return await oneByOne(requests, { fetchOne, isOfOnePartition, classify: classifyKafkaJs });
      }
    },
    offsetRange: async (at) => {
      await connection.know(at.topic);
      // What is known of a topic may be older than the partition, and kafkajs leaves a partition it does not know out of its answer.
      if (connection.leader(at.topic, at.partition) === null) await connection.refresh();
      const [low, high] = await Promise.all([
        offsetAt(connection.cluster.fetchTopicsOffset.bind(connection.cluster), at, EARLIEST),
        offsetAt(connection.cluster.fetchTopicsOffset.bind(connection.cluster), at, LATEST),
      ]);
      return { low, high };
    },
    close: () => connection.close(),
  };
}

async function offsetAt(
  fetchTopicsOffset: (
    topics: { topic: string; partitions: { partition: number }[]; fromTimestamp: number }[],
  ) => Promise<{ topic: string; partitions: { partition: number; offset: string }[] }[]>,
  at: TopicPartition,
  timestamp: number,
): Promise<bigint> {
  const [topic] = await fetchTopicsOffset([
    { topic: at.topic, partitions: [{ partition: at.partition }], fromTimestamp: timestamp },
  ]);
  const found = topic?.partitions.find((partition) => partition.partition === at.partition);
  if (!found) throw new KafkaError('an offset answer does not name the partition', FAULTS.unknownPartition, { at });
  return BigInt(found.offset);
}

/** What the broker says of a partition, or a batch of it that cannot be unpacked; not the connection. */
function isOfOnePartition(error: unknown): boolean {
  if (isUnreadableBatch(error)) return true;
  return error instanceof Error && (error.name === 'KafkaJSProtocolError' || error.name === 'KafkaJSOffsetOutOfRange');
}

function answerOf(request: FetchRequest, answer: PartitionResponse): FetchAnswer {
  const { offset: askedOffset } = request;
  const messages: Message[] = [];
  const isAborted = createAbortFilter(answer.abortedTransactions);
  let nextOffset = askedOffset;
  for (const message of answer.messages) {
    const skip = isAborted(message);
    const offset = offsetOf(message);
    // A batch may begin before the asked offset.
    if (offset < askedOffset) continue;
    nextOffset = offset + 1n;
    if (!skip && !message.isControlRecord) messages.push(message);
  }
  // Compaction may have removed the last records of a batch: go on behind the batch, not behind the record.
  const context = answer.messages.at(-1)?.batchContext;
  if (context) {
    const behindBatch = BigInt(context.firstOffset) + BigInt(context.lastOffsetDelta) + 1n;
    if (behindBatch > nextOffset) nextOffset = behindBatch;
  }
  const records: FetchedRecords = {
    count: messages.length,
    bytes: messages.reduce((sum, message) => sum + bytesOf(message), 0),
    make: () => messages.map((message) => recordOf(request, message)),
  };
  return recordsAnswer(request, { records, nextOffset, highWatermark: BigInt(answer.highWatermark) });
}

function offsetOf(message: Message): bigint {
  return message instanceof PlainMessage ? message.at : BigInt(message.offset);
}

function bytesOf(message: Message): number {
  return message instanceof PlainMessage ? RECORD_BYTES + message.size : bytesOfRecord(message);
}

function recordOf({ topic, partition }: TopicPartition, message: Message): KafkaRecord {
  const offset = offsetOf(message);
  if (message instanceof PlainMessage) {
    const { timestampMs, key, value, headers } = message.parts();
    return { topic, partition, offset, appendTimeMs: timestampMs, key, value, headers: lastHeaders(headers) };
  }
  const { timestamp, key, value, headers } = message;
  return { topic, partition, offset, appendTimeMs: Number(timestamp), key, value, headers: lastHeaders(headers) };
}

/** Read-committed on the client side, as KIP-98 leaves it to clients: drops records of aborted transactions. */
function createAbortFilter(aborted: PartitionResponse['abortedTransactions']): (message: Message) => boolean {
  if (aborted.length === 0) return () => false;
  const waiting = aborted
    .map(({ producerId, firstOffset }) => ({ producerId, firstOffset: BigInt(firstOffset) }))
    .sort((a, b) => (a.firstOffset < b.firstOffset ? -1 : 1));
  const active = new Set<string>();
  return (message) => {
    const context = message.batchContext;
    if (!context) return false;
    const offset = BigInt(message.offset);
    for (let first = waiting[0]; first && first.firstOffset <= offset; first = waiting[0]) {
      active.add(first.producerId);
      waiting.shift();
    }
    if (message.isControlRecord) {
      // Abort marker: version int16, type int16 = 0.
      if (message.key && message.key.length >= 4 && message.key.readInt16BE(2) === 0) active.delete(context.producerId);
      return true;
    }
    return context.inTransaction && active.has(context.producerId);
  };
}

const NO_HEADERS: Readonly<Record<string, Buffer>> = Object.freeze({});

/** Kafka allows a header name more than once; the last one wins here. */
function lastHeaders(headers: Message['headers']): Readonly<Record<string, Buffer>> {
  let single: Record<string, Buffer> | null = null;
  for (const name in headers) {
    const value = headers[name];
    const last = Array.isArray(value) ? (value.at(-1) as Buffer | undefined) : value;
    single ??= {};
    single[name] = Buffer.isBuffer(last) ? last : Buffer.alloc(0);
  }
  return single ?? NO_HEADERS;
}
