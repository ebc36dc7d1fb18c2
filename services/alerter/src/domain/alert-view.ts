import {
  type AlertRecord,
  type AlertState,
  type AlertSummary,
  acknowledgedAt,
  alertCount,
  alertLink,
  buildTimeline,
  type DeliveryView,
  type EvidenceEvent,
  evidenceIds,
  explainRule,
} from '@tracehound/alerting';
import type { StoredAlertView } from '../ports.ts';

/** An alert with the record that changed it last, as stored. */
export type StoredAlert = { readonly state: AlertState; readonly record: AlertRecord; readonly firedAtMs: number };

export function alertSummary({ state, record, firedAtMs }: StoredAlert): AlertSummary {
  return {
    alert_id: state.alertId,
    organization_id: state.organization,
    status: state.status,
    severity: state.severity,
    title: record.rule.title,
    rule_id: record.rule.rule_id,
    kind: record.kind,
    revision: record.revision,
    group: record.group,
    count: alertCount(state.members),
    first_at: state.firstAtMs,
    last_at: state.lastAtMs,
    fired_at: firedAtMs,
  };
}

/**
 * What `GET /v1/alerts/{id}` answers, but for the exceptions; events are refetched at each call, so it shows what the audit store
 * holds now.
 */
export function alertView(
  stored: StoredAlert,
  parts: {
    readonly evidence: readonly EvidenceEvent[];
    readonly deliveries: readonly DeliveryView[];
    readonly linkBase: string;
  },
): StoredAlertView {
  const { state, record } = stored;
  const ids = evidenceIds(record);
  const timeline = buildTimeline(parts.evidence);
  const acknowledgedAtMs = acknowledgedAt(parts.evidence);
  const { timespan_ms, title, level, type, author, status, tags, ruleset_id } = record.rule;
  return {
    ...alertSummary(stored),
    why: explainRule({
      ...record,
      count: alertCount(state.members).value,
      count_exact: alertCount(state.members).exact,
    }),
    description: record.rule.description,
    // Records stored before the field was added lack it.
    triage: record.rule.triage ?? null,
    rule: { id: record.rule.rule_id, title, level, type, author, status, tags, ruleset_id, timespan_ms },
    timeline,
    evidence_missing: Math.max(0, ids.length - timeline.length),
    event_ids: ids,
    flags: (['degraded', 'recovered', 'approx'] as const).filter((flag) => record[flag]),
    members: state.members.map((member) => ({
      alert_id: member.alertId,
      revision: member.revision,
      count: member.count,
      ended: member.hasEnded,
      superseded_by: member.supersededBy,
    })),
    deliveries: parts.deliveries.map((delivery) => ({
      ...delivery,
      after_ack_ms:
        acknowledgedAtMs === null || delivery.delivered_at === null ? null : delivery.delivered_at - acknowledgedAtMs,
    })),
    link: alertLink(parts.linkBase, state.alertId),
  };
}
