import { drop, ok, type Verdict } from '@tracehound/event-model';
import { faultPoint } from '@tracehound/lifecycle';
import type { AlertStore } from '../ports.ts';
import type { DeliveredNotice } from './deliver.ts';

export type RecordReason = 'lease_lost';

/**
 * Last stop of a flush: the outcome, fenced by the epoch of the lease, with the fact for the audit log in the same
 * transaction. A process that dies before it leaves the row `sending`; the next owner sends again under the same id.
 */
export function createRecordStage(deps: {
  /** Repeats while the store is away: the notice is out, and only this can say so. */
  readonly recordDelivery: AlertStore['recordDelivery'];
  readonly owner: string;
}) {
  return async function record(delivered: DeliveredNotice): Promise<Verdict<DeliveredNotice, RecordReason>> {
    const isRecorded = await deps.recordDelivery(delivered, delivered.outcome, deps.owner);
    faultPoint('n:after-record');
    return isRecorded ? ok(delivered) : drop('lease_lost');
  };
}
