import type { KafkaRecord, OutgoingRecord } from '@tracehound/kafka';

/** What stage A writes into an idle source partition, and what closes a source for good (X4). */
export type MarkerKind = 'idle' | 'end_of_input';

const HEADER = 'th_marker';

/** The kind of a marker record; null for everything else, also for a marker of an unknown kind that carries a value. */
export function markerOf(record: Pick<KafkaRecord, 'headers'>): MarkerKind | 'unknown' | null {
  const header = record.headers[HEADER];
  if (header === undefined) return null;
  const kind = header.toString('utf8');
  return kind === 'idle' || kind === 'end_of_input' ? kind : 'unknown';
}

export function markerRecord(kind: MarkerKind): OutgoingRecord {
  return { key: null, value: null, headers: { [HEADER]: kind } };
}
