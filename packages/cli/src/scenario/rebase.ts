import { createHash, randomBytes } from 'node:crypto';
import type { ScenarioEvent } from './scenario.ts';

/** What a replayed recording is moved by. `runId` makes the ids of two plays differ. */
export type RebaseOptions = {
  /** The last event happens at this instant (ms UTC). */
  readonly lastAtMs: number;
  /** Intervals between events are divided by this; 1 keeps them. */
  readonly compress: number;
  readonly runId: string;
};

/** A UUIDv7 (RFC 9562, section 5.7) of a given time. */
function uuidV7(timeMs: number): string {
  const bytes = randomBytes(16);
  bytes.writeUIntBE(Math.trunc(timeMs), 0, 6);
  bytes[6] = 0x70 | ((bytes[6] ?? 0) & 0x0f);
  bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f);
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/**
 * Moves a recording to now (X3: only when told): new event ids, new trace and span ids that still tell the same story,
 * times compressed towards `lastAtMs`. The original event id stays in `tags.scenario_event`, so that two plays can be compared.
 */
export function rebase(events: readonly ScenarioEvent[], options: RebaseOptions): ScenarioEvent[] {
  const times = events.map((event) => (event.occurred_at ? Date.parse(event.occurred_at) : Number.NaN));
  const last = Math.max(...times.filter((time) => !Number.isNaN(time)));
  const other = (id: string, digits: number): string =>
    createHash('sha256').update(`${options.runId}|${id}`).digest('hex').slice(0, digits);
  return events.map((event, index) => {
    const time = times[index] ?? Number.NaN;
    const at = Number.isNaN(time) ? options.lastAtMs : Math.round(options.lastAtMs - (last - time) / options.compress);
    const trace = event.trace && {
      ...event.trace,
      trace_id: other(event.trace.trace_id, 32),
      ...(event.trace.span_id ? { span_id: other(event.trace.span_id, 16) } : {}),
      ...(event.trace.parent_span_id ? { parent_span_id: other(event.trace.parent_span_id, 16) } : {}),
    };
    return {
      ...event,
      event_id: uuidV7(at),
      occurred_at: new Date(at).toISOString(),
      ...(trace ? { trace } : {}),
      tags: { ...event.tags, ...(event.event_id ? { scenario_event: event.event_id } : {}) },
    };
  });
}
