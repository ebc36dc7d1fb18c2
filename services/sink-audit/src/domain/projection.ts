import {
  type DeliveryStatus,
  deadLetter,
  type EventEnvelope,
  type ExternalEvent,
  eventTypeOf,
  ok,
  type RecordByName,
  type RecordName,
  type RetentionClass,
  type RuleRef,
  type ScalarValue,
  SEVERITIES,
  severityOf,
  type Verdict,
} from '@tracehound/event-model';
import type { SinkReason } from '../reasons.ts';
import type { Projection, RecordKind } from './audit-row.ts';
import { indexedText, type ProjectionNotes, safeJson, safeTime } from './safe-text.ts';

/** A decoded record with the name that says which one it is. */
export type NamedRecord = { [N in RecordName]: { readonly name: N; readonly value: RecordByName[N] } }[RecordName];

/** Columns a kind leaves empty; spread first. */
const EMPTY = {
  subjectOrganizationId: null,
  eventId: null,
  eventType: null,
  family: null,
  category: null,
  severity: 0,
  outcome: null,
  action: null,
  actorType: null,
  actorId: null,
  subjectType: null,
  subjectId: null,
  ipHash: null,
  traceId: null,
  spanId: null,
  sessionId: null,
  requestId: null,
  platform: null,
  service: null,
  ruleId: null,
  errorCode: null,
  alertId: null,
  revision: null,
  eventTimeMs: null,
  occurredAtMs: null,
  receivedAtMs: null,
  srcTopicId: null,
  srcPartition: null,
  srcOffset: null,
} as const;

const DELIVERY_OUTCOMES = {
  SENT: 'success',
  FAILED: 'failure',
  DEAD: 'failure',
  IN_DOUBT: 'unknown',
  SUPPRESSED: 'unknown',
  UNKNOWN: 'unknown',
} as const satisfies Record<DeliveryStatus, Projection['outcome']>;

/** Records about detection and delivery are security records: ten years, whatever the event was. */
const SECURITY_CLASS: RetentionClass = 'long';
const DEFAULT_CLASS: RetentionClass = 'standard';

/**
 * The columns of one record of a topic of `kind`. Pure. Dead letter `unexpected_record` when the record has no place on
 * such a topic, `invalid_id` when an id that must be a UUID is none; text and times never fail, they are made safe.
 */
export function project(kind: RecordKind, decoded: NamedRecord): Verdict<Projection, SinkReason> {
  switch (decoded.name) {
    case 'tracehound.events.v1.ActivityEvent':
    case 'tracehound.events.v1.AuthenticationEvent':
    case 'tracehound.events.v1.AuthorizationEvent':
    case 'tracehound.events.v1.ComplianceEvent':
    case 'tracehound.events.v1.ConfigurationEvent':
    case 'tracehound.events.v1.PerformanceEvent':
    case 'tracehound.events.v1.SecurityEvent':
    case 'tracehound.events.v1.SystemEvent': {
      if (kind !== 'event') break;
      const { schema_rev: _rev, envelope, ...own } = decoded.value;
      return ok(projectEvent(envelope, stated(own)));
    }
    case 'tracehound.events.v1.ExternalEvent':
      if (kind !== 'event') break;
      return ok(projectEvent(decoded.value.envelope, externalAttributes(decoded.value)));
    case 'tracehound.pipeline.v1.LateEvent':
      if (kind === 'late') return projectLate(decoded.value);
      break;
    case 'tracehound.pipeline.v1.DetectionFinding':
      if (kind === 'finding') return projectFinding(decoded.value);
      break;
    case 'tracehound.pipeline.v1.CorrelationAlert':
      if (kind === 'alert') return projectAlert(decoded.value);
      break;
    case 'tracehound.pipeline.v1.AlertLifecycle':
      if (kind === 'lifecycle') return projectLifecycle(decoded.value);
      break;
    case 'tracehound.pipeline.v1.AlertDelivery':
      if (kind === 'delivery') return projectDelivery(decoded.value);
      break;
    case 'tracehound.pipeline.v1.RuleActivation':
      if (kind === 'rules') return ok(projectActivation(decoded.value));
      break;
    case 'tracehound.events.v1.SecurityEventDetected':
    case 'tracehound.pipeline.v1.DeadLetter':
    case 'tracehound.pipeline.v1.MatchBatch':
    case 'tracehound.pipeline.v1.RuleSet':
      break;
  }
  return deadLetter('unexpected_record', `${decoded.name} on a topic of kind ${kind}`);
}

function projectEvent(envelope: EventEnvelope, own: Readonly<Record<string, unknown>>): Projection {
  const notes: ProjectionNotes = { flags: 0 };
  const text = (value: string): string => indexedText(value, notes);
  const maybe = (value: string | null | undefined): string | null => (value == null ? null : indexedText(value, notes));
  const eventId = text(envelope.event_id);
  const attrs = safeJson({ ...own, ...envelopeAttributes(envelope) }, notes);
  const columns = {
    ...EMPTY,
    kind: 'event' as const,
    retentionClass: eventTypeOf(envelope.event_type)?.retention ?? DEFAULT_CLASS,
    recordKey: eventId,
    organizationId: text(envelope.intake_org),
    subjectOrganizationId: maybe(envelope.organization_id),
    eventId,
    eventType: text(envelope.event_type),
    family: text(envelope.family),
    category: text(envelope.category),
    severity: SEVERITIES[envelope.severity].ocsf,
    outcome: outcomeOf(envelope),
    actorType: maybe(envelope.actor?.type),
    actorId: maybe(envelope.actor?.id),
    subjectType: maybe(envelope.subject?.type),
    subjectId: maybe(envelope.subject?.id),
    ipHash: maybe(envelope.network?.ip_hash),
    traceId: maybe(envelope.trace?.trace_id),
    spanId: maybe(envelope.trace?.span_id),
    sessionId: maybe(envelope.session_id),
    requestId: maybe(envelope.request_id),
    platform: text(envelope.source.platform),
    service: maybe(envelope.source.service),
    errorCode: maybe(envelope.error?.code),
    eventTimeMs: safeTime(envelope.event_time, notes),
    occurredAtMs: envelope.occurred_at === null ? null : safeTime(envelope.occurred_at, notes),
    receivedAtMs: safeTime(envelope.received_at, notes),
    attrs,
  };
  return { ...columns, projectionFlags: notes.flags };
}

function outcomeOf(envelope: EventEnvelope): 'success' | 'failure' | 'unknown' {
  switch (envelope.outcome) {
    case 'SUCCESS':
      return 'success';
    case 'FAILURE':
      return 'failure';
    case 'UNKNOWN':
      return 'unknown';
  }
}

/** What of the envelope has no column, under the names of the schema; empty parts are left out. */
function envelopeAttributes(envelope: EventEnvelope): Readonly<Record<string, unknown>> {
  return stated({
    actor_name: envelope.actor?.name ?? null,
    subject_name: envelope.subject?.name ?? null,
    event_time_source: envelope.event_time_source,
    clock_skew_ms: envelope.clock_skew_ms,
    cluster_id: envelope.cluster_id,
    trace_trust: envelope.trace?.trust ?? null,
    parent_span_id: envelope.trace?.parent_span_id ?? null,
    source_version: envelope.source.version,
    source_sdk: envelope.source.sdk,
    source_instance: envelope.source.instance,
    source_seq: envelope.source.seq,
    ip: envelope.network?.ip ?? null,
    ip_hash_kid: envelope.network?.ip_hash_kid ?? null,
    country: envelope.network?.country ?? null,
    asn: envelope.network?.asn ?? null,
    user_agent: envelope.network?.user_agent ?? null,
    error_message: envelope.error?.message ?? null,
    tags: envelope.tags,
    metadata: envelope.metadata,
    redactions: envelope.redactions,
    flags: envelope.flags,
  });
}

/** Without nulls and empty lists and maps: most rows state few of the many optional fields. */
function stated(fields: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const kept: Record<string, unknown> = {};
  for (const name in fields) {
    const value = fields[name];
    if (value === null || value === undefined) continue;
    if (typeof value === 'object' && isEmpty(value)) continue;
    kept[name] = value;
  }
  return kept;
}

function isEmpty(value: object): boolean {
  for (const _ in value) return false;
  return true;
}

/** Native dotted names, with lists as arrays. Repeated names keep the first, as Sigma matching does. */
function externalAttributes(event: ExternalEvent): Readonly<Record<string, unknown>> {
  const fields = new Map<string, unknown>();
  for (const field of event.fields) {
    if (fields.has(field.name)) continue;
    const values = field.values.map(scalarOf);
    fields.set(field.name, field.is_list ? values : (values[0] ?? null));
  }
  return { log_source: stated({ ...event.log_source }), fields: Object.fromEntries(fields) };
}

/** Numbers that a double does not hold exactly stay text: jsonb would refuse some, and change none silently here. */
function scalarOf(value: ScalarValue): string | number | boolean | null {
  switch (value.type) {
    case 'NULL':
      return null;
    case 'BOOLEAN':
      return value.text === 'true';
    case 'NUMBER': {
      const number = Number(value.text);
      return String(number) === value.text ? number : value.text;
    }
    case 'STRING':
      return value.text;
  }
}

function projectLate(late: RecordByName['tracehound.pipeline.v1.LateEvent']): Verdict<Projection, SinkReason> {
  const notes: ProjectionNotes = { flags: 0 };
  const srcTopicId = uuidOf(late.src_topic_id);
  if (srcTopicId === null) return deadLetter('invalid_id', 'src_topic_id is no UUID');
  // The event's bytes are in `payload` of the row already, inside the bytes of this record.
  const { payload: _payload, schema_rev: _rev, ...rest } = late;
  const eventId = indexedText(late.event_id, notes);
  const columns = {
    ...EMPTY,
    kind: 'late' as const,
    retentionClass: DEFAULT_CLASS,
    recordKey: `${eventId}:${late.stage}`,
    organizationId: indexedText(late.organization_id, notes),
    eventId,
    action: late.stage,
    eventTimeMs: safeTime(late.event_time, notes),
    srcTopicId,
    srcPartition: late.src_partition,
    srcOffset: late.src_offset,
    attrs: safeJson(rest, notes),
  };
  return ok({ ...columns, projectionFlags: notes.flags });
}

function projectFinding(
  finding: RecordByName['tracehound.pipeline.v1.DetectionFinding'],
): Verdict<Projection, SinkReason> {
  const notes: ProjectionNotes = { flags: 0 };
  const alertId = uuidOf(finding.detection_id);
  const srcTopicId = uuidOf(finding.src_topic_id);
  if (alertId === null) return deadLetter('invalid_id', 'detection_id is no UUID');
  if (srcTopicId === null) return deadLetter('invalid_id', 'src_topic_id is no UUID');
  const columns = {
    ...EMPTY,
    kind: 'finding' as const,
    retentionClass: SECURITY_CLASS,
    recordKey: alertId,
    organizationId: indexedText(finding.organization_id, notes),
    eventId: indexedText(finding.event_id, notes),
    severity: severityOfRule(finding.rule),
    ruleId: indexedText(finding.rule.rule_id, notes),
    alertId,
    eventTimeMs: safeTime(finding.event_time, notes),
    srcTopicId,
    srcPartition: finding.src_partition,
    srcOffset: finding.src_offset,
    attrs: safeJson(finding, notes),
  };
  return ok({ ...columns, projectionFlags: notes.flags });
}

function projectAlert(alert: RecordByName['tracehound.pipeline.v1.CorrelationAlert']): Verdict<Projection, SinkReason> {
  const notes: ProjectionNotes = { flags: 0 };
  const alertId = uuidOf(alert.alert_id);
  if (alertId === null) return deadLetter('invalid_id', 'alert_id is no UUID');
  const columns = {
    ...EMPTY,
    kind: 'alert' as const,
    retentionClass: SECURITY_CLASS,
    // (alert_id, revision) determines the bytes (X9); `kind` keeps a degraded range apart.
    recordKey: `${alertId}:${alert.revision}:${alert.kind}`,
    organizationId: indexedText(alert.organization_id, notes),
    eventId: alert.trigger_event_id === null ? null : indexedText(alert.trigger_event_id, notes),
    severity: severityOfRule(alert.rule),
    action: alert.kind,
    ruleId: indexedText(alert.rule.rule_id, notes),
    alertId,
    revision: alert.revision,
    eventTimeMs: safeTime(alert.last_at, notes),
    occurredAtMs: safeTime(alert.first_at, notes),
    attrs: safeJson(alert, notes),
  };
  return ok({ ...columns, projectionFlags: notes.flags });
}

/** Rules are everybody's: rows of the tenant `platform`. A copy of an activation (a further signature) is a duplicate of it. */
function projectActivation(activation: RecordByName['tracehound.pipeline.v1.RuleActivation']): Projection {
  const notes: ProjectionNotes = { flags: 0 };
  const columns = {
    ...EMPTY,
    kind: 'rules' as const,
    retentionClass: SECURITY_CLASS,
    recordKey: indexedText(activation.activation_id, notes),
    organizationId: 'platform',
    action: activation.based_on === null ? 'activated' : 'breakers',
    actorId: indexedText(activation.principal, notes),
    eventTimeMs: safeTime(activation.created_at, notes),
    attrs: safeJson(activation, notes),
  };
  return { ...columns, projectionFlags: notes.flags };
}

function projectLifecycle(
  change: RecordByName['tracehound.pipeline.v1.AlertLifecycle'],
): Verdict<Projection, SinkReason> {
  const notes: ProjectionNotes = { flags: 0 };
  const alertId = uuidOf(change.alert_id);
  if (alertId === null) return deadLetter('invalid_id', 'alert_id is no UUID');
  const action = indexedText(change.action, notes);
  const principal = indexedText(change.principal, notes);
  const columns = {
    ...EMPTY,
    kind: 'lifecycle' as const,
    retentionClass: SECURITY_CLASS,
    recordKey: `${alertId}:${change.at}:${action}:${principal}`,
    organizationId: indexedText(change.organization_id, notes),
    action,
    actorId: principal,
    alertId,
    eventTimeMs: safeTime(change.at, notes),
    attrs: safeJson(change, notes),
  };
  return ok({ ...columns, projectionFlags: notes.flags });
}

function projectDelivery(
  delivery: RecordByName['tracehound.pipeline.v1.AlertDelivery'],
): Verdict<Projection, SinkReason> {
  const notes: ProjectionNotes = { flags: 0 };
  const alertId = uuidOf(delivery.alert_id);
  if (alertId === null) return deadLetter('invalid_id', 'alert_id is no UUID');
  const columns = {
    ...EMPTY,
    kind: 'delivery' as const,
    retentionClass: SECURITY_CLASS,
    recordKey: `${indexedText(delivery.delivery_id, notes)}:${delivery.attempt}:${delivery.status}`,
    organizationId: indexedText(delivery.organization_id, notes),
    outcome: DELIVERY_OUTCOMES[delivery.status],
    action: delivery.status,
    service: indexedText(delivery.receiver, notes),
    errorCode: delivery.error_code === null ? null : indexedText(delivery.error_code, notes),
    alertId,
    revision: delivery.revision,
    eventTimeMs: safeTime(delivery.ended_at, notes),
    occurredAtMs: safeTime(delivery.started_at, notes),
    attrs: safeJson(delivery, notes),
  };
  return ok({ ...columns, projectionFlags: notes.flags });
}

function severityOfRule(rule: RuleRef): number {
  return SEVERITIES[severityOf(rule.level) ?? 'UNKNOWN'].ocsf;
}

/** Lower-case hyphenated form of 32 hex digits with or without hyphens; null when it is none. */
export function uuidOf(id: string): string | null {
  const hex = id.replaceAll('-', '').toLowerCase();
  if (!/^[0-9a-f]{32}$/.test(hex)) return null;
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
