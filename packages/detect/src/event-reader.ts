import { PLATFORM_ORGANIZATION } from '@tracehound/event-model';
import { createJsonFieldView, type LogSource } from '@tracehound/sigma';
import type { DetectEvent } from './event.ts';
import { parseEventTime, uuidTimeMs } from './event-time.ts';
import { type NativeEvent, readIntakeEvent } from './intake-view.ts';

type Json = Readonly<Record<string, unknown>>;

/** Fields that commonly carry the time of an event, the surest first; a dot goes into an object. */
export const TIME_FIELDS: readonly string[] = [
  'occurred_at',
  '@timestamp',
  'timestamp',
  'time',
  // CloudTrail, Okta, Kubernetes audit, Windows, Sysmon, Microsoft 365, Azure, Splunk, Zeek.
  'eventTime',
  'published',
  'requestReceivedTimestamp',
  'TimeCreated',
  'EventTime',
  'UtcTime',
  'CreationTime',
  'activityDateTime',
  'TimeGenerated',
  '_time',
  'ts',
  'event_time',
  'created_at',
  'createdDateTime',
  'creationTime',
  'date',
  'datetime',
  'Timestamp',
  // Google Workspace, evtx_dump, ECS.
  'id.time',
  'Event.System.TimeCreated.#attributes.SystemTime',
  'event.created',
];

/** Fields that commonly identify an event. Not among them: what names its kind (`EventID`) or repeats (`auditID`). */
export const ID_FIELDS: readonly string[] = [
  'event_id',
  'id',
  'eventID',
  'uuid',
  'eventId',
  'insertId',
  '_document_id',
  '_id',
  'event.id',
];

export type EventReaderOptions = {
  /** In place of `TIME_FIELDS`. */
  readonly timeField?: string;
  /** In place of `ID_FIELDS`. */
  readonly idField?: string;
  /** Of every event, in place of what an event says itself. */
  readonly logSource?: LogSource;
};

/** An event of a file. `timeSource` none: no time was found, the previous event's is taken. */
export type ReadEvent = DetectEvent & {
  readonly timeSource: 'field' | 'uuid' | 'none';
  /** What it is when it is an event of our own catalogue in intake form; else null. */
  readonly native: NativeEvent | null;
};

/**
 * Turns parsed JSON objects into events. Keeps the last time seen, for events without one: use one reader per file, in
 * order.
 */
export type EventReader = (event: Json, line: number) => ReadEvent;

/** @see EventReader */
export function createEventReader(options: EventReaderOptions = {}): EventReader {
  const timeOf = finder(options.timeField === undefined ? TIME_FIELDS : [options.timeField], parseEventTime);
  const idOf = finder(options.idField === undefined ? ID_FIELDS : [options.idField], idText);
  let previousMs = 0;
  return (event, line) => {
    const intake = readIntakeEvent(event);
    const id = idOf(event) ?? `line:${line}`;
    let timeMs = timeOf(event);
    if (timeMs !== undefined && intake) timeMs += intake.skewMs;
    let timeSource: ReadEvent['timeSource'] = 'field';
    if (timeMs === undefined) {
      timeMs = uuidTimeMs(id);
      timeSource = 'uuid';
    }
    if (timeMs === undefined) {
      timeMs = previousMs;
      timeSource = 'none';
    }
    previousMs = timeMs;
    return {
      id,
      timeMs,
      timeSource,
      organization: intake?.organization ?? PLATFORM_ORGANIZATION,
      view: intake?.view ?? createJsonFieldView(event),
      logSource: options.logSource ?? intake?.logSource ?? null,
      instance: intake?.instance ?? null,
      sequence: intake?.sequence ?? null,
      native: intake?.native ?? null,
    };
  };
}

function idText(value: unknown): string | undefined {
  if (typeof value === 'string') return value === '' ? undefined : value;
  return typeof value === 'number' ? String(value) : undefined;
}

/** The first of the fields whose value can be read. */
function finder<T>(fields: readonly string[], read: (value: unknown) => T | undefined): (event: Json) => T | undefined {
  const paths = fields.map((field) => ({ field, steps: field.includes('.') ? field.split('.') : null }));
  return (event) => {
    for (const { field, steps } of paths) {
      const value = event[field] ?? (steps === null ? undefined : valueAt(event, steps));
      if (value === undefined || value === null) continue;
      const found = read(value);
      if (found !== undefined) return found;
    }
    return undefined;
  };
}

function valueAt(event: Json, steps: readonly string[]): unknown {
  let value: unknown = event;
  for (const step of steps) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = (value as Json)[step];
  }
  return value;
}
