import type { AlertRecord } from '@tracehound/alerting';

/** 2026-01-01T00:00:00Z. */
export const T0: number = Date.UTC(2026, 0, 1);

let made = 0;

/** An alert id made of one digit, or a new one. */
export function hexId(digit?: string): string {
  if (digit !== undefined) return digit.repeat(32);
  made += 1;
  return made.toString(16).padStart(32, '0');
}

/** A plausible open; tests change what they are about. */
export function alertRecord(changes: Partial<AlertRecord> = {}): AlertRecord {
  return {
    alert_id: hexId('a'),
    revision: 4 * T0,
    kind: 'OPEN',
    organization_id: 'acme',
    cluster_id: 'test',
    rule: {
      rule_id: 'rule-1',
      title: 'Failed verifications, then a success',
      level: 'high',
      type: 'temporal_ordered',
      ruleset_id: 'f'.repeat(64),
      author: 'Tracehound',
      description: 'Failures on one platform followed by a success on another.',
      status: 'stable',
      tags: ['attack.t1110'],
      timespan_ms: 600_000,
      triage: null,
    },
    group: [{ field: 'trace_id', value: 't1' }],
    count: 4,
    count_exact: true,
    first_at: T0,
    last_at: T0 + 60_000,
    trigger_event_id: 'event-2',
    timer_due: null,
    event_ids: ['event-1', 'event-2'],
    sample_event_ids: [],
    supersedes: [],
    superseded_by: null,
    degraded: false,
    recovered: false,
    approx: false,
    reason: null,
    ...changes,
  };
}
