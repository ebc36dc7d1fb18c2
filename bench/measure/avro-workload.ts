import type { RecordInputByName } from '@tracehound/event-model';

/** The organization of the key: windows are per organization (X13), the check counts over all events. */
export const ORGANIZATION = 'bench';

export type WorkloadLine = Readonly<Record<string, string>>;

/** Fields of a workload event as rules see them, dotted names of an external event. */
const FIELDS = [
  'event_type',
  'trace_id',
  'organization_id',
  'platform',
  'user',
  'src_ip',
  'resource',
  'user_agent',
  'severity',
];

/** A line of the workload as the gateway writes a third-party event. */
export function externalEvent(line: WorkloadLine): RecordInputByName['tracehound.events.v1.ExternalEvent'] {
  const timeMs = Date.parse(line['timestamp'] ?? '');
  return {
    envelope: {
      event_id: line['event_id'] ?? '',
      event_type: 'external.event',
      family: 'external',
      category: 'workload',
      severity: 'INFORMATIONAL',
      outcome: 'UNKNOWN',
      occurred_at: timeMs,
      event_time: timeMs,
      event_time_source: 'OCCURRED',
      received_at: timeMs,
      organization_id: ORGANIZATION,
      intake_org: ORGANIZATION,
      cluster_id: 'bench',
      source: { platform: line['platform'] ?? '' },
    },
    log_source: { product: null, service: null, category: 'workload' },
    fields: FIELDS.map((name) => ({
      name,
      is_list: false,
      values: [{ type: 'STRING' as const, text: line[name] ?? '' }],
    })),
  };
}
