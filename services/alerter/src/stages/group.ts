import { type AlertRecord, alertCount, buildNotice, deliveryId, type Notice, stableId } from '@tracehound/alerting';
import { ok, type Verdict } from '@tracehound/event-model';
import type { AlertTransaction, NewDelivery } from '../ports.ts';
import type { RoutedAlert } from './route.ts';

export type GroupedNotice = {
  readonly record: AlertRecord;
  readonly notice: Notice;
  readonly deliveries: readonly NewDelivery[];
};

/**
 * Last stop of the intake: the notice and one outbox row per receiver, in the group of (organization, receiver,
 * suppression key), which is what a lease owns and what keeps the notices of one attack in order.
 */
export function createGroupStage(deps: {
  readonly tx: AlertTransaction;
  readonly nowMs: number;
  readonly linkBase: () => string;
  readonly channelOf: (receiver: string) => string;
}) {
  return async function group(alert: RoutedAlert): Promise<Verdict<GroupedNotice, never>> {
    const notice = noticeOf(alert, deps.linkBase());
    const deliveries = alert.receivers.map((receiver) =>
      newDelivery({ notice, receiver, channel: deps.channelOf(receiver), suppressionKey: alert.alert.suppressionKey }),
    );
    await deps.tx.saveNotice(notice, deliveries, deps.nowMs);
    return ok({ record: alert.record, notice, deliveries });
  };
}

export function newDelivery(of: {
  readonly notice: Notice;
  readonly receiver: string;
  readonly channel: string;
  readonly suppressionKey: string;
}): NewDelivery {
  return {
    deliveryId: deliveryId(of.notice.notice_id, of.receiver),
    groupId: stableId('group', of.notice.organization_id, of.receiver, of.suppressionKey),
    receiver: of.receiver,
    channel: of.channel,
  };
}

function noticeOf(alert: RoutedAlert, linkBase: string): Notice {
  const { refetched } = alert;
  return buildNotice({
    record: alert.record,
    reason: alert.reason,
    alertId: alert.alert.alertId,
    firedAtMs: alert.firedAtMs,
    linkBase,
    evidence:
      refetched.kind === 'audited' ? { events: refetched.evidence, count: alertCount(alert.alert.members) } : null,
  });
}
