import type { KafkaRecord } from './port.ts';

/**
 * Records that came with an answer. They are made when a handler is about to get them: until then, in a buffer of thousands, they
 * need little more room than the bytes they came in, which no collector has to copy.
 */
export type FetchedRecords = {
  readonly count: number;
  /** What they take in a buffer, about. */
  readonly bytes: number;
  /** Anew at every call. */
  make(): readonly KafkaRecord[];
};

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
