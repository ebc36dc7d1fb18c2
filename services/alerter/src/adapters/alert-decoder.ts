import type { AlertRecord } from '@tracehound/alerting';
import type { AvroCodec } from '@tracehound/avro';
import type { DetectionFinding } from '@tracehound/event-model';
import type { AlertDecoder } from '../ports.ts';

/** Confluent-framed Avro to alert records. A finding of a single-event rule is an alert with one event. */
export function createAlertDecoder(codec: Pick<AvroCodec, 'decode'>): AlertDecoder {
  return async (topic, value) => {
    const decoded = await codec.decode(value);
    if (topic === 'security.alerts' && decoded.name === 'tracehound.pipeline.v1.CorrelationAlert') return decoded.value;
    if (topic === 'security.findings' && decoded.name === 'tracehound.pipeline.v1.DetectionFinding') {
      return alertOfFinding(decoded.value);
    }
    return null;
  };
}

/** Its entity is the organization: single-event rules have no group, so their hits join within 15 minutes. */
function alertOfFinding(finding: DetectionFinding): AlertRecord {
  return {
    alert_id: finding.detection_id,
    revision: 0,
    kind: 'OPEN',
    organization_id: finding.organization_id,
    cluster_id: finding.cluster_id,
    rule: finding.rule,
    group: [],
    count: 1,
    count_exact: true,
    first_at: finding.event_time,
    last_at: finding.event_time,
    trigger_event_id: finding.event_id,
    timer_due: null,
    event_ids: [finding.event_id],
    sample_event_ids: [],
    supersedes: [],
    superseded_by: null,
    degraded: false,
    recovered: false,
    approx: false,
    reason: null,
  };
}
