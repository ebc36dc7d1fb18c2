import { decideDelivery } from '@tracehound/alerting';
import { ok, type Verdict } from '@tracehound/event-model';
import { faultPoint } from '@tracehound/lifecycle';
import type { ClaimedDelivery, DeliveryOutcome, Receiver } from '../ports.ts';

export type DeliveredNotice = ClaimedDelivery & { readonly outcome: DeliveryOutcome };

/**
 * First stop of a flush: one attempt at one receiver. Whatever comes back is an outcome, never an exception: a
 * time-out is a fact to be recorded too.
 */
export function createDeliverStage(deps: {
  readonly receivers: ReadonlyMap<string, Receiver>;
  /** For the signature and what the notice says of its age. */
  readonly now: () => number;
  /** For when the next attempt is due; never goes back. */
  readonly pace: () => number;
  readonly random: () => number;
  readonly scheduleMs: readonly number[];
}) {
  return async function deliver(delivery: ClaimedDelivery): Promise<Verdict<DeliveredNotice, never>> {
    faultPoint('n:before-deliver');
    const receiver = deps.receivers.get(delivery.receiver);
    if (!receiver) return ok({ ...delivery, outcome: dead('receiver_unknown', deps.pace()) });
    const { response, responseSha256 } = await receiver.send({
      deliveryId: delivery.deliveryId,
      notice: delivery.notice,
      nowMs: deps.now(),
    });
    const endedAtMs = deps.pace();
    const decision = decideDelivery(response, {
      attempt: delivery.scheduleAttempt,
      random: deps.random(),
      scheduleMs: deps.scheduleMs,
    });
    faultPoint('n:after-deliver');
    return ok({
      ...delivery,
      outcome: {
        state: decision.action === 'retry' ? 'failed' : decision.action,
        httpStatus: response.kind === 'status' ? response.status : null,
        errorCode: decision.action === 'sent' ? null : decision.errorCode,
        responseSha256,
        retryAfterMs: response.kind === 'status' ? response.retryAfterMs : null,
        endedAtMs,
        nextAttemptAtMs: decision.action === 'retry' ? endedAtMs + decision.delayMs : null,
        disablesReceiver: decision.action === 'dead' && decision.disablesReceiver,
      },
    });
  };
}

function dead(errorCode: 'receiver_unknown', endedAtMs: number): DeliveryOutcome {
  return {
    state: 'dead',
    httpStatus: null,
    errorCode,
    responseSha256: null,
    retryAfterMs: null,
    endedAtMs,
    nextAttemptAtMs: null,
    disablesReceiver: false,
  };
}
