import { FAULTS, KafkaError } from './errors.ts';
import type { FaultClassifier, FetchAnswer, FetchRequest } from './wire.ts';

/** A broker answers with the first batch whole, however little is asked for (KIP-74). */
const FIRST_BATCH_ONLY = 1;

/**
 * After a library threw the whole answer of a broker away because of one partition: each is asked alone, and one that fails for its
 * first batch alone. So the bad batch halts its partition at its own offset; what lies before it, and the other partitions, go on.
 * @throws what is not of one partition.
 */
export async function oneByOne(
  requests: readonly FetchRequest[],
  wire: {
    readonly fetchOne: (request: FetchRequest) => Promise<readonly FetchAnswer[]>;
    readonly isOfOnePartition: (error: unknown) => boolean;
    readonly classify: FaultClassifier;
  },
): Promise<readonly FetchAnswer[]> {
  const fetchOr = async (request: FetchRequest, otherwise: (error: unknown) => Promise<readonly FetchAnswer[]>) => {
    try {
      return await wire.fetchOne(request);
    } catch (error) {
      if (!wire.isOfOnePartition(error)) throw error;
      return await otherwise(error);
    }
  };
  const answers: FetchAnswer[] = [];
  for (const request of requests) {
    const first = { ...request, bytesMax: FIRST_BATCH_ONLY };
    const fault = async (error: unknown) => [faultAnswer(request, error, wire.classify)];
    answers.push(...(await fetchOr(request, () => fetchOr(first, fault))));
  }
  return answers;
}

/** A batch in a codec that nobody knows, or one that is too large unpacked. */
export function isUnreadableBatch(error: unknown): boolean {
  return (
    error instanceof KafkaError &&
    (error.fault === FAULTS.unsupportedCompression || error.fault === FAULTS.batchTooLarge)
  );
}

function faultAnswer(request: FetchRequest, cause: unknown, classify: FaultClassifier): FetchAnswer {
  const { topic, partition, offset } = request;
  return { kind: 'fault', topic, partition, askedOffset: offset, fault: classify(cause), cause };
}
