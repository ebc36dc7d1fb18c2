import { randomUUID } from 'node:crypto';
import type { RecordInputByName } from '@tracehound/event-model';

export type AuthenticationInput = RecordInputByName['tracehound.events.v1.AuthenticationEvent'];
export type EnvelopeInput = AuthenticationInput['envelope'];

/** A failed login of `acme`, as the gateway writes it; override what the test is about. */
export function loginFailure(
  overrides: Partial<EnvelopeInput> = {},
  payload: Record<string, string> = {},
): AuthenticationInput {
  const nowMs = Date.now();
  return {
    envelope: {
      event_id: randomUUID(),
      event_type: 'auth.login.failure',
      family: 'auth',
      category: 'authentication',
      severity: 'MEDIUM',
      outcome: 'FAILURE',
      occurred_at: nowMs,
      event_time: nowMs,
      event_time_source: 'OCCURRED',
      received_at: nowMs,
      organization_id: 'acme',
      intake_org: 'acme',
      cluster_id: 'local',
      trace: { trace_id: '0af7651916cd43dd8448eb211c80319c', span_id: 'b7ad6b7169203331', trust: 'GATEWAY' },
      actor: { type: 'user', id: 'u-1', name: 'Ada' },
      source: { platform: 'python', service: 'api' },
      network: { ip_hash: 'c0ffee', ip_hash_kid: 'k1' },
      ...overrides,
    },
    payload: { attempted_user: 'root', ...payload },
  };
}

const ALERT_ID = '0123456789abcdef0123456789abcdef';

const RULE = {
  rule_id: '5638f7c0-ac70-491d-8465-2a65075e0d86',
  title: 'Many failed logins',
  level: 'high',
  type: 'event_count',
  semantic_hash: 'f'.repeat(64),
  ruleset_id: 'e'.repeat(64),
  author: 'Tracehound',
  tags: ['attack.t1110'],
  timespan_ms: 60_000,
  triage: null,
} as const;

export function correlationAlert(
  overrides: Partial<RecordInputByName['tracehound.pipeline.v1.CorrelationAlert']> = {},
): RecordInputByName['tracehound.pipeline.v1.CorrelationAlert'] {
  return {
    alert_id: ALERT_ID,
    revision: 4_000,
    kind: 'OPEN',
    organization_id: 'acme',
    cluster_id: 'local',
    rule: RULE,
    group: [{ field: 'network.ip_hash', value: 'c0ffee' }],
    count: 5,
    count_exact: true,
    first_at: 1_000,
    last_at: 2_000,
    trigger_event_id: 'event-1',
    timer_due: null,
    event_ids: ['event-1'],
    sample_event_ids: [],
    source_ranges: [],
    matches_partition: 0,
    matches_offsets: [],
    watermark: 1_000,
    supersedes: [],
    superseded_by: null,
    degraded: false,
    recovered: false,
    approx: false,
    reason: null,
    ...overrides,
  };
}

export function detectionFinding(srcTopicId: string): RecordInputByName['tracehound.pipeline.v1.DetectionFinding'] {
  return {
    detection_id: 'fedcba9876543210fedcba9876543210',
    organization_id: 'acme',
    cluster_id: 'local',
    rule: RULE,
    event_id: 'event-1',
    event_time: 1_000,
    src_topic: 'security.events',
    src_topic_id: srcTopicId,
    src_partition: 2,
    src_offset: 41,
  };
}

export function lateEvent(srcTopicId: string): RecordInputByName['tracehound.pipeline.v1.LateEvent'] {
  return {
    organization_id: 'acme',
    event_id: 'event-1',
    event_time: 1_000,
    append_time: 500_000,
    lateness_ms: 499_000,
    allowed_ms: 120_000,
    stage: 'A',
    src_topic: 'security.events',
    src_topic_id: srcTopicId,
    src_partition: 2,
    src_offset: 41,
    payload: Buffer.from([1, 2, 3]),
  };
}

export function alertDelivery(): RecordInputByName['tracehound.pipeline.v1.AlertDelivery'] {
  return {
    delivery_id: 'd-1',
    alert_id: ALERT_ID,
    revision: 4_000,
    organization_id: 'acme',
    receiver: 'soc',
    channel: 'webhook',
    attempt: 1,
    status: 'SENT',
    http_status: 200,
    error_code: null,
    started_at: 5_000,
    ended_at: 5_050,
    response_sha256: null,
    thin: false,
  };
}

export function alertLifecycle(): RecordInputByName['tracehound.pipeline.v1.AlertLifecycle'] {
  return {
    alert_id: ALERT_ID,
    organization_id: 'acme',
    action: 'acknowledged',
    principal: 'ada',
    at: 6_000,
    before: 'open',
    after: 'acknowledged',
  };
}

export function ruleActivation(): RecordInputByName['tracehound.pipeline.v1.RuleActivation'] {
  return {
    activation_id: 'a1',
    ruleset_id: 'f'.repeat(64),
    lateness_ms: 120_000,
    clock_allowance_ms: 1_000,
    sources_version: 1,
    sources: [],
    effective_at: 7_000,
    created_at: 6_000,
    principal: 'ada',
    reason: 'ticket 7',
  };
}
