import type { KafkaRecord } from './port.ts';
import type { FetchAnswer, FetchedRecords, FetchRequest } from './wire.ts';

/** Of a record beside its key and value, about. */
export const RECORD_BYTES = 64;

export function bytesOfRecord({ key, value }: Pick<KafkaRecord, 'key' | 'value'>): number {
  return RECORD_BYTES + (key?.length ?? 0) + (value?.length ?? 0);
}

/** Records that are there already. */
export function fetchedRecords(records: readonly KafkaRecord[]): FetchedRecords {
  const bytes = records.reduce((sum, record) => sum + bytesOfRecord(record), 0);
  return { count: records.length, bytes, make: () => records };
}

/** The answer to a request whose partition could be read. */
export function recordsAnswer(
  { topic, partition, offset }: FetchRequest,
  found: { readonly records: FetchedRecords; readonly nextOffset: bigint; readonly highWatermark: bigint },
): FetchAnswer {
  return { kind: 'records', topic, partition, askedOffset: offset, ...found };
}
