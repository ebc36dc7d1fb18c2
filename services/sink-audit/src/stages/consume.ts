import { drop, ok, type Verdict } from '@tracehound/event-model';
import type { KafkaRecord } from '@tracehound/kafka';
import type { PartitionState } from '../domain/partition-state.ts';
import type { SinkReason } from '../reasons.ts';

/** Header of a record that carries time and no event (contracts, section 2). */
export const MARKER_HEADER = 'th_marker';

/** Ends records that are rows already (a Kafka commit is only a hint, X15) and markers. */
export function createConsumeStage(state: Pick<PartitionState, 'nextOffset'>) {
  return function consume(record: KafkaRecord): Verdict<KafkaRecord, SinkReason> {
    if (record.offset < state.nextOffset) return drop('redelivered');
    if (MARKER_HEADER in record.headers) return drop('marker');
    return ok(record);
  };
}
