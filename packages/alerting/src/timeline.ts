/**
 * One event of an alert as an analyst sees it: an allowlist of what the audit store holds (research/alerting.md 0.8).
 * No address, name, payload or free text of the event gets in here. Times are milliseconds UTC.
 */
export type TimelineEntry = {
  readonly event_id: string;
  readonly at: number;
  readonly platform: string;
  readonly service: string | null;
  readonly event_type: string;
  readonly outcome: string;
  readonly actor: { readonly type: string; readonly id: string } | null;
  readonly trace_id: string | null;
  readonly span_id: string | null;
};

/** An event as refetched from the audit store; `received_at` is the gateway's time of acceptance. */
export type EvidenceEvent = TimelineEntry & { readonly organization_id: string; readonly received_at: number };

/** Entries in a message; all of them are behind the link. */
export const TIMELINE_NOTICE_MAX: number = 10;

/** Events in total order (X2: event time, then id), each once. */
export function buildTimeline(events: readonly EvidenceEvent[]): readonly TimelineEntry[] {
  const byId = new Map<string, EvidenceEvent>();
  for (const event of events) if (!byId.has(event.event_id)) byId.set(event.event_id, event);
  return [...byId.values()]
    .sort((a, b) => a.at - b.at || (a.event_id < b.event_id ? -1 : 1))
    .map((event) => ({
      event_id: event.event_id,
      at: event.at,
      platform: event.platform,
      service: event.service,
      event_type: event.event_type,
      outcome: event.outcome,
      actor: event.actor === null ? null : { type: event.actor.type, id: event.actor.id },
      trace_id: event.trace_id,
      span_id: event.span_id,
    }));
}

/** First and last entries when there are more than fit, so that both the beginning and the outcome of an attack show. */
export function shortenTimeline(
  entries: readonly TimelineEntry[],
  max: number = TIMELINE_NOTICE_MAX,
): readonly TimelineEntry[] {
  if (entries.length <= max) return entries;
  const head = Math.ceil(max / 2);
  return [...entries.slice(0, head), ...entries.slice(entries.length - (max - head))];
}

/** Moment from which delivery is counted: when the gateway had accepted the last of the evidence; null without evidence. */
export function acknowledgedAt(events: readonly EvidenceEvent[]): number | null {
  return events.reduce<number | null>((latest, event) => Math.max(latest ?? 0, event.received_at), null);
}
