import { deadLetter, drop, markerKindOf, ok, type Verdict } from '@tracehound/event-model';
import type { KafkaRecord } from '@tracehound/kafka';
import type { DetectReason } from '../errors.ts';

/** A record with a value. */
export type ValuedRecord = KafkaRecord & { readonly value: Buffer };

/** Markers end here: their append time has already been read as a claim by `repartition` (X4). */
export function createConsumeStage(): (record: KafkaRecord) => Verdict<ValuedRecord, DetectReason> {
  return function consume(record) {
    if (markerKindOf(record) !== null) return drop('marker');
    return hasValue(record) ? ok(record) : deadLetter('no_value', 'a record without a value and without a marker');
  };
}

function hasValue(record: KafkaRecord): record is ValuedRecord {
  return record.value !== null;
}
