import {
  type AlertRecord,
  type AlertState,
  alertCount,
  type DeliveryErrorCode,
  type Notice,
  type NoticeReason,
} from '@tracehound/alerting';
import type { DeliveryOutcome, NewDelivery, OutgoingFact } from '../ports.ts';

/** Ways in which the audit store and a consumed record can disagree. Closed list, metric label. */
export type IntegrityViolation =
  | 'audit_row_absent'
  | 'organization_differs'
  | 'content_differs'
  | 'evidence_organization_differs';

/** Actions of `security.alert-lifecycle` this service writes. */
export type LifecycleAction = NoticeReason | 'suppressed' | 'integrity_violation';

const SCHEMA_REV = 1;

/** An alert that may not be told, for the audit log. It names the record, not what it claims. */
export function integrityFact(event: {
  readonly record: AlertRecord;
  readonly violation: IntegrityViolation;
  readonly atMs: number;
  readonly principal: string;
}): OutgoingFact {
  const { record } = event;
  return lifecycle({
    alertId: record.alert_id,
    organization: record.organization_id,
    action: 'integrity_violation',
    atMs: event.atMs,
    principal: event.principal,
    before: null,
    after: JSON.stringify({ violation: event.violation, revision: record.revision, kind: record.kind }),
  });
}

/** What a record did to an alert. */
export function lifecycleFact(event: {
  readonly action: LifecycleAction;
  readonly before: AlertState | null;
  readonly after: AlertState;
  readonly record: AlertRecord;
  readonly atMs: number;
  readonly principal: string;
}): OutgoingFact {
  return lifecycle({
    alertId: event.after.alertId,
    organization: event.after.organization,
    action: event.action,
    atMs: event.atMs,
    principal: event.principal,
    before: event.before === null ? null : stateText(event.before),
    after: stateText(event.after, event.record.alert_id),
  });
}

export type AttemptStatus = 'SENT' | 'FAILED' | 'DEAD' | 'IN_DOUBT';

/** One attempt of a delivery. (delivery_id, attempt) is its identity: a copy in the log is the same attempt. */
export function deliveryFact(event: {
  readonly notice: Notice;
  readonly delivery: NewDelivery;
  readonly attempt: number;
  readonly status: AttemptStatus;
  readonly startedAtMs: number;
  readonly outcome: Pick<DeliveryOutcome, 'httpStatus' | 'responseSha256' | 'endedAtMs'> & {
    readonly errorCode: DeliveryErrorCode | null;
  };
}): OutgoingFact {
  const { notice, delivery, outcome } = event;
  return {
    topic: 'security.deliveries',
    value: {
      schema_rev: SCHEMA_REV,
      delivery_id: delivery.deliveryId,
      alert_id: notice.alert_id,
      revision: notice.revision,
      organization_id: notice.organization_id,
      receiver: delivery.receiver,
      channel: delivery.channel,
      attempt: event.attempt,
      status: event.status,
      http_status: outcome.httpStatus,
      error_code: outcome.errorCode === null ? null : `SEC_DELIVERY_${outcome.errorCode.toUpperCase()}`,
      started_at: event.startedAtMs,
      ended_at: outcome.endedAtMs,
      response_sha256: outcome.responseSha256,
      thin: notice.thin,
    },
  };
}

function stateText(alert: AlertState, causedBy?: string): string {
  return JSON.stringify({
    status: alert.status,
    severity: alert.severity,
    count: alertCount(alert.members).value,
    ...(causedBy === undefined ? {} : { caused_by: causedBy }),
  });
}

function lifecycle(event: {
  readonly alertId: string;
  readonly organization: string;
  readonly action: LifecycleAction;
  readonly atMs: number;
  readonly principal: string;
  readonly before: string | null;
  readonly after: string | null;
}): OutgoingFact {
  return {
    topic: 'security.alert-lifecycle',
    value: {
      schema_rev: SCHEMA_REV,
      alert_id: event.alertId,
      organization_id: event.organization,
      action: event.action,
      principal: event.principal,
      at: event.atMs,
      before: event.before,
      after: event.after,
    },
  };
}
