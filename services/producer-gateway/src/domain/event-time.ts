import type { EventTimeSource } from '@tracehound/event-model';
import { uuidTimeMs } from './event-id.ts';

export type EventTime = {
  readonly eventTimeMs: number;
  readonly source: EventTimeSource;
  /** `et_received`, `skewed`, `capped`. */
  readonly flags: readonly string[];
};

/** RFC 3339 with a zone; fractions beyond milliseconds are cut. Null when it is not a real time. */
export function parseInstant(text: string): number | null {
  const match = /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)$/.exec(text);
  if (!match) return null;
  const [, year, month, day, hour, minute, second, fraction = '', zone = 'Z'] = match;
  // `Date.parse` rolls 31 February over instead of refusing it, and knows no leap second.
  const daysInMonth = new Date(Date.UTC(Number(year), Number(month), 0)).getUTCDate();
  if (Number(month) < 1 || Number(month) > 12 || Number(day) < 1 || Number(day) > daysInMonth) return null;
  const wholeSecond = second === '60' ? '59' : second;
  const millis = fraction === '' ? '' : fraction.slice(0, 4);
  const ms = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${wholeSecond}${millis}${zone.toUpperCase()}`);
  return Number.isNaN(ms) ? null : ms;
}

/**
 * X2: `occurred_at` plus the correction the SDK stamped before the first send, else the time inside the UUIDv7, else
 * the time of receipt. Everything but the last is a function of the event alone, so all copies agree; the gateway never
 * corrects by what it sees of one request. Capped towards the future only.
 */
export function eventTimeOf(input: {
  readonly occurredAtMs: number | null;
  readonly clockSkewMs: number | null;
  readonly eventId: string;
  readonly receivedAtMs: number;
  readonly futureAllowanceMs: number;
}): EventTime {
  const latest = input.receivedAtMs + input.futureAllowanceMs;
  if (input.occurredAtMs !== null) {
    const corrected = input.occurredAtMs + (input.clockSkewMs ?? 0);
    const flags = input.clockSkewMs ? ['skewed'] : [];
    return corrected > latest
      ? { eventTimeMs: latest, source: 'OCCURRED', flags: [...flags, 'capped'] }
      : { eventTimeMs: corrected, source: 'OCCURRED', flags };
  }
  const inside = uuidTimeMs(input.eventId);
  if (inside !== null && inside <= latest) return { eventTimeMs: inside, source: 'UUID', flags: [] };
  return { eventTimeMs: input.receivedAtMs, source: 'RECEIVED', flags: ['et_received'] };
}
