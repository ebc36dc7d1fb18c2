import { backoffMs, sleepMs, withinMs } from './backoff.ts';
import { FAULTS, KafkaError, type KafkaFault, KafkaOffsetOutOfRangeError } from './errors.ts';
import type { KafkaRecord, TopicPartition } from './port.ts';
import type { FaultClassifier, FetchWire } from './wire.ts';
import type { WireHolder } from './wire-holder.ts';

const READ_BYTES_MAX = 4 * 1024 * 1024;
const WAIT_MS_MAX = 200;
const STALL_MS = 10_000;
/** A read gives up after so many failed tries in a row (about 30 s). */
const ATTEMPTS_MAX = 8;
/** Everything below the high watermark is there at once; so many empty answers mean that nothing of it is readable. */
const EMPTY_ANSWERS_MAX = 3;

/**
 * Reads `[from, until)` of one partition in log order without a group. Compacted topics have holes; markers of
 * transactions are skipped. A `from` outside the log rejects with `KafkaOffsetOutOfRangeError`.
 */
export async function* readPartition(
  wires: WireHolder<FetchWire>,
  classify: FaultClassifier,
  at: TopicPartition,
  range: { from?: bigint; until?: bigint } = {},
): AsyncGenerator<KafkaRecord, void, undefined> {
  const { low, high } = await retried(wires, classify, (wire) => wire.offsetRange(at));
  let next = range.from ?? low;
  const until = range.until ?? high;
  if (next < until && (next < low || next > high))
    throw new KafkaOffsetOutOfRangeError({ ...at, offset: next, low, high });
  let emptyAnswers = 0;
  while (next < until) {
    const asked = next;
    const answer = await retried(wires, classify, async (wire) => {
      const leader = await wire.leader(at);
      if (leader === null) throw new KafkaError('the partition has no leader', FAULTS.notLeader, { at });
      const request = { topic: at.topic, partition: at.partition, offset: asked, bytesMax: READ_BYTES_MAX };
      const [first] = await wire.fetch(leader, [request], WAIT_MS_MAX);
      if (!first) throw new KafkaError('a fetch answer does not name the partition', FAULTS.partitionMissing, { at });
      if (first.kind === 'fault') {
        if (first.fault.staleMetadata) await wire.leader(at, { refresh: true });
        throw new KafkaError('a partition could not be read', first.fault, {
          cause: first.cause,
          at: { ...at, offset: asked },
        });
      }
      return first;
    });
    for (const record of answer.records.make()) {
      if (record.offset >= until) return;
      yield record;
    }
    next = answer.nextOffset;
    emptyAnswers = next === asked ? emptyAnswers + 1 : 0;
    // An explicit `until` may lie in the future: then the reader waits for it.
    if (emptyAnswers >= EMPTY_ANSWERS_MAX && until <= answer.highWatermark) return;
  }
}

async function retried<T>(
  wires: WireHolder<FetchWire>,
  classify: FaultClassifier,
  call: (wire: FetchWire) => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    let held: Awaited<ReturnType<typeof wires.acquire>> | undefined;
    try {
      held = await wires.acquire();
      return await withinMs(wires.use(held, call), STALL_MS, () => new KafkaError('no answer in time', FAULTS.timeout));
    } catch (error) {
      const fault: KafkaFault = error instanceof KafkaError ? error.fault : classify(error);
      if (held && fault.indefinite) wires.drop(held);
      if (!fault.retriable || attempt >= ATTEMPTS_MAX) {
        throw error instanceof KafkaError
          ? error
          : new KafkaError('a partition could not be read', fault, { cause: error });
      }
      await sleepMs(backoffMs(attempt));
    }
  }
}
