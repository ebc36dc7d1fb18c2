import { randomBytes, randomUUID } from 'node:crypto';
import type { CorrelationAlertInput } from '@tracehound/event-model';
import { partitionForKey } from '@tracehound/kafka';

/** A plausible open of an ordered rule, with ids of its own and an entity of its own; times end at `nowMs`. */
export function openAlert(
  changes: Partial<CorrelationAlertInput> = {},
  nowMs: number = Date.now(),
): CorrelationAlertInput {
  const events = [randomUUID(), randomUUID()];
  return {
    alert_id: randomBytes(16).toString('hex'),
    revision: 4 * nowMs,
    kind: 'OPEN',
    organization_id: 'acme',
    cluster_id: 'test',
    rule: {
      rule_id: 'rule-1',
      title: 'Failed verifications, then a success',
      level: 'high',
      type: 'temporal_ordered',
      semantic_hash: 'a'.repeat(64),
      ruleset_id: 'f'.repeat(64),
      author: 'Tracehound',
      description: 'Failures on one platform followed by a success on another.',
      status: 'stable',
      tags: ['attack.t1110'],
      timespan_ms: 600_000,
      triage: null,
    },
    group: [{ field: 'trace_id', value: randomBytes(16).toString('hex') }],
    count: 4,
    count_exact: true,
    first_at: nowMs - 60_000,
    last_at: nowMs,
    trigger_event_id: events[1] ?? null,
    timer_due: null,
    event_ids: [...events].sort(),
    matches_partition: 0,
    matches_offsets: [1],
    watermark: nowMs,
    ...changes,
  };
}

/** An alert whose record goes to this partition of four: the sink passes over nothing that lies in another one. */
export function alertIn(partition: number): CorrelationAlertInput {
  const alert = openAlert();
  const key = Buffer.from(`${alert.organization_id}|${alert.alert_id}`);
  return partitionForKey(key, 4) === partition ? alert : alertIn(partition);
}
