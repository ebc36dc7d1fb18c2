import {
  Admin,
  type BaseOptions,
  FetchIsolationLevels,
  fetchV12,
  type RecordsBatch,
  ResponseError,
} from '@platformatic/kafka';
import { FAULTS, KafkaError } from '../errors.ts';
import { fetchedRecords, recordsAnswer } from '../fetched-records.ts';
import { isUnreadableBatch, oneByOne } from '../one-by-one.ts';
import type { KafkaRecord } from '../port.ts';
import { protocolFault } from '../protocol-faults.ts';
import type { FetchAnswer, FetchRequest, FetchWire } from '../wire.ts';
import { classifyPlatformatic } from './classify.ts';
import { openConnections } from './connections.ts';

type FetchResponse = fetchV12.FetchResponse;
type FetchResponsePartition = fetchV12.FetchResponsePartition;

const FETCH_BYTES_MAX = 32 * 1024 * 1024;
const EARLIEST = -2n;
const LATEST = -1n;
/** Bits of the attributes of a record batch (Kafka protocol, record batch format 2). */
const LOG_APPEND_TIME = 0x08;
const TRANSACTIONAL = 0x10;
const CONTROL = 0x20;

/**
 * Fetch over the raw call (v12): the messages of `@platformatic/kafka` carry the create time, but the batches carry the
 * timestamp type and the append time.
 */
export function openPlatformaticFetchWire(options: BaseOptions): FetchWire {
  // Two connection sets: a long poll would hold up every question behind it on the same connection.
  const polling = openConnections(options);
  const asking = openConnections(options);
  const admin = new Admin({ ...options });

  const fetchFrom = async (
    node: number,
    requests: readonly FetchRequest[],
    waitMsMax: number,
  ): Promise<readonly FetchAnswer[]> => {
    const connection = await polling.connection(node);
    const response = await fetchPartitions(() =>
      fetchV12.api.async(
        connection,
        waitMsMax,
        1,
        FETCH_BYTES_MAX,
        FetchIsolationLevels.READ_COMMITTED,
        0,
        -1,
        requests.map((request) => ({
          // Version 12 names topics; the library calls the field `topicId` in all versions.
          topicId: request.topic,
          partitions: [
            {
              partition: request.partition,
              currentLeaderEpoch: -1,
              fetchOffset: request.offset,
              lastFetchedEpoch: -1,
              partitionMaxBytes: request.bytesMax,
            },
          ],
        })),
        [],
        '',
      ),
    );
    const answers: FetchAnswer[] = [];
    for (const { topicId, partitions } of response.responses) {
      for (const partition of partitions) {
        const request = requests.find((r) => r.topic === topicId && r.partition === partition.partitionIndex);
        if (request) answers.push(answerOf(request, partition));
      }
    }
    return answers;
  };

  return {
    leader: (at, how) => asking.leader(at, how),
    fetch: async (node, requests, waitMsMax) => {
      try {
        return await fetchFrom(node, requests, waitMsMax);
      } catch (error) {
        if (!isOfOnePartition(error)) throw error;
        // The library gives up the whole answer at the first batch it cannot unpack; the connection lives on.
        const fetchOne = (request: FetchRequest) => fetchFrom(node, [request], 0);
        return await oneByOne(requests, { fetchOne, isOfOnePartition, classify: classifyPlatformatic });
      }
    },
    offsetRange: async (at) => {
      const at1 = async (timestamp: bigint): Promise<bigint> => {
        const topics = await admin.listOffsets({
          topics: [{ name: at.topic, partitions: [{ partitionIndex: at.partition, timestamp }] }],
        });
        const found = topics[0]?.partitions[0];
        if (!found) {
          throw new KafkaError('an offset answer does not name the partition', FAULTS.unknownPartition, { at });
        }
        return found.offset;
      };
      const [low, high] = await Promise.all([at1(EARLIEST), at1(LATEST)]);
      return { low, high };
    },
    close: async () => {
      await Promise.all([polling.close(), asking.close(), admin.close()]);
    },
  };
}

function isOfOnePartition(error: unknown): boolean {
  return isUnreadableBatch(error) || classifyPlatformatic(error) === FAULTS.unsupportedCompression;
}

/** One bad partition makes the library reject; the answer with all partitions is in the error. */
async function fetchPartitions(call: () => Promise<FetchResponse>): Promise<FetchResponse> {
  try {
    return await call();
  } catch (error) {
    if (error instanceof ResponseError) {
      const { response } = error as { response?: FetchResponse };
      if (response && response.errorCode === 0) return response;
    }
    throw error;
  }
}

function answerOf(request: FetchRequest, answer: FetchResponsePartition): FetchAnswer {
  const { topic, partition, offset: askedOffset } = request;
  if (answer.errorCode !== 0) {
    const fault = protocolFault(PROTOCOL_NAMES[answer.errorCode] ?? '');
    const cause = new KafkaError('a partition could not be fetched', fault, { at: { topic, partition } });
    return { kind: 'fault', topic, partition, askedOffset, fault, cause };
  }
  const records: KafkaRecord[] = [];
  const isAborted = createAbortFilter(answer);
  let nextOffset = askedOffset;
  for (const batch of answer.records ?? []) {
    const drop = isAborted(batch);
    const behind = batch.firstOffset + BigInt(batch.lastOffsetDelta) + 1n;
    if (behind > nextOffset) nextOffset = behind;
    if (drop) continue;
    const isAppendTime = (batch.attributes & LOG_APPEND_TIME) !== 0;
    for (const record of batch.records) {
      const offset = batch.firstOffset + BigInt(record.offsetDelta);
      // A batch may begin before the asked offset.
      if (offset < askedOffset) continue;
      records.push({
        topic,
        partition,
        offset,
        appendTimeMs: Number(isAppendTime ? batch.maxTimestamp : batch.firstTimestamp + record.timestampDelta),
        key: record.key,
        value: record.value,
        headers: headersOf(record.headers),
      });
    }
  }
  const { highWatermark } = answer;
  return recordsAnswer(request, { records: fetchedRecords(records), nextOffset, highWatermark });
}

/** Error codes that a fetch answer may carry per partition (Kafka protocol, error codes). */
const PROTOCOL_NAMES: Readonly<Record<number, string>> = {
  1: 'OFFSET_OUT_OF_RANGE',
  2: 'CORRUPT_MESSAGE',
  3: 'UNKNOWN_TOPIC_OR_PARTITION',
  5: 'LEADER_NOT_AVAILABLE',
  6: 'NOT_LEADER_OR_FOLLOWER',
  9: 'REPLICA_NOT_AVAILABLE',
  29: 'TOPIC_AUTHORIZATION_FAILED',
  56: 'KAFKA_STORAGE_ERROR',
  74: 'FENCED_LEADER_EPOCH',
  75: 'UNKNOWN_LEADER_EPOCH',
  78: 'OFFSET_NOT_AVAILABLE',
  100: 'UNKNOWN_TOPIC_ID',
  103: 'INCONSISTENT_TOPIC_ID',
};

/** Read-committed on the client side, as KIP-98 leaves it to clients: control batches and aborted ones are dropped. */
function createAbortFilter(answer: FetchResponsePartition): (batch: RecordsBatch) => boolean {
  const waiting = [...(answer.abortedTransactions ?? [])].sort((a, b) => (a.firstOffset < b.firstOffset ? -1 : 1));
  const active = new Set<bigint>();
  return (batch) => {
    const behind = batch.firstOffset + BigInt(batch.lastOffsetDelta);
    for (let first = waiting[0]; first && first.firstOffset <= behind; first = waiting[0]) {
      active.add(first.producerId);
      waiting.shift();
    }
    if ((batch.attributes & CONTROL) !== 0) {
      const key = batch.records[0]?.key;
      // Abort marker: version int16, type int16 = 0.
      if (key && key.length >= 4 && key.readInt16BE(2) === 0) active.delete(batch.producerId);
      return true;
    }
    return (batch.attributes & TRANSACTIONAL) !== 0 && active.has(batch.producerId);
  };
}

/** Kafka allows a header name more than once; the last one wins here. */
function headersOf(headers: readonly (readonly [Buffer | null, Buffer | null])[]): Record<string, Buffer> {
  const single: Record<string, Buffer> = {};
  for (const [name, value] of headers) single[String(name)] = value ?? Buffer.alloc(0);
  return single;
}
