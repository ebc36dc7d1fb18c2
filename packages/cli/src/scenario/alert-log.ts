import type { AvroCodec } from '@tracehound/avro';
import type { CorrelationAlert } from '@tracehound/event-model';
import type { KafkaAdmin, KafkaClient } from '@tracehound/kafka';
import { patiently } from './patiently.ts';

/**
 * Every record of `security.alerts` as it lies in the log, partition by partition, in log order. A registry that is
 * away is waited for until `until` (ms of the wall clock): reading the story must not fail where the services do not.
 */
export async function readAlertLog(
  deployment: {
    readonly kafka: KafkaClient;
    readonly admin: KafkaAdmin;
    readonly codec: AvroCodec;
    readonly topic: (name: string) => string;
  },
  until: number,
): Promise<CorrelationAlert[]> {
  const topic = deployment.topic('security.alerts');
  const alerts: CorrelationAlert[] = [];
  for (const { partition } of await deployment.admin.offsets(topic)) {
    for await (const record of deployment.kafka.read({ topic, partition })) {
      const { value } = record;
      if (value === null) continue;
      const decoded = await patiently(until, () => deployment.codec.decode(value));
      if (decoded.name === 'tracehound.pipeline.v1.CorrelationAlert') alerts.push(decoded.value);
    }
  }
  return alerts;
}

/** The state of each alert: its highest revision, which wins also after `end` (X9). */
export function latestRevisions(log: readonly CorrelationAlert[]): CorrelationAlert[] {
  const latest = new Map<string, CorrelationAlert>();
  for (const alert of log) {
    const known = latest.get(alert.alert_id);
    if (!known || alert.revision > known.revision) latest.set(alert.alert_id, alert);
  }
  return [...latest.values()].sort((a, b) => a.first_at - b.first_at || (a.alert_id < b.alert_id ? -1 : 1));
}

/** What E2 compares: an alert by what it says, not by when or how often it was said. */
export type AlertProjection = {
  readonly organization: string;
  readonly rule: string;
  readonly group: string;
  readonly first_at: number;
  readonly last_at: number;
  readonly event_ids: readonly string[];
};

export function project(alert: CorrelationAlert): AlertProjection {
  return {
    organization: alert.organization_id,
    rule: alert.rule.rule_id,
    group: alert.group.map((entry) => entry.value ?? '').join('|'),
    first_at: alert.first_at,
    last_at: alert.last_at,
    event_ids: [...alert.event_ids].sort(),
  };
}

/** The set of final alerts, each once, in a stable order (E2). */
export function finalAlerts(log: readonly CorrelationAlert[]): AlertProjection[] {
  const seen = new Map<string, AlertProjection>();
  for (const alert of log) if (alert.kind === 'FINAL') seen.set(alert.alert_id, project(alert));
  return [...seen.values()].sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
}
