import type { RawEvent } from './intake-event.ts';
import { type Admission, refuse } from './intake-request.ts';
import { isJsonObject, type Json, JsonSyntaxError, parseElements } from './strict-json.ts';

export type BodyKind = 'json' | 'ndjson';

export type ListedEvent = Pick<RawEvent, 'source' | 'bytes'>;

/**
 * Cuts a body into events: an object, a list, `{"events": [...]}`, or one event per line. A broken document is refused
 * as a whole; a broken line concerns its event only. Empty lines count for nothing.
 */
export function listEvents(body: Buffer, kind: BodyKind, eventsMax: number): Admission<readonly ListedEvent[]> {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch {
    return refuse('invalid_utf8');
  }
  const listed = kind === 'ndjson' ? lines(text, eventsMax) : document(text);
  if (!listed.ok) return listed;
  if (listed.value.length === 0) return refuse('empty_batch');
  if (listed.value.length > eventsMax) return tooMany(eventsMax);
  return listed;
}

function lines(text: string, eventsMax: number): Admission<readonly ListedEvent[]> {
  const events: ListedEvent[] = [];
  for (let from = 0; from < text.length; ) {
    const end = text.indexOf('\n', from);
    const line = text.slice(from, end < 0 ? text.length : end);
    from = end < 0 ? text.length : end + 1;
    if (line.trim() === '') continue;
    if (events.length === eventsMax) return tooMany(eventsMax);
    events.push({ source: { kind: 'line', text: line }, bytes: Buffer.byteLength(line) });
  }
  return { ok: true, value: events };
}

function document(text: string): Admission<readonly ListedEvent[]> {
  try {
    const { value, elements } = parseElements(text);
    if (elements) {
      return {
        ok: true,
        value: elements.map((element) =>
          listed(element.value, Buffer.byteLength(text.slice(element.from, element.to))),
        ),
      };
    }
    if (!isJsonObject(value)) return refuse('wrong_form');
    const events = value['events'];
    if (events === undefined) return { ok: true, value: [listed(value, Buffer.byteLength(text))] };
    if (!Array.isArray(events)) return refuse('wrong_form', { field: '/events' });
    const surplus = Object.keys(value).find((key) => key !== 'events');
    if (surplus !== undefined) return refuse('wrong_form', { detail: 'beside events nothing is expected' });
    return { ok: true, value: (events as readonly Json[]).map((event) => listed(event, jsonBytes(event))) };
  } catch (error) {
    if (!(error instanceof JsonSyntaxError)) throw error;
    const { line, column } = positionOf(text, error.offset);
    return refuse(error.duplicateKey ? 'duplicate_key' : 'malformed_json', {
      detail: `${error.message}, at line ${line}, column ${column}`,
    });
  }
}

function listed(value: Json, bytes: number): ListedEvent {
  return { source: { kind: 'value', value }, bytes };
}

/** Size of a value whose place in the text is not known: its compact form, never more than what was sent. */
function jsonBytes(value: Json): number {
  return Buffer.byteLength(JSON.stringify(value));
}

function positionOf(text: string, offset: number): { readonly line: number; readonly column: number } {
  const before = text.slice(0, offset);
  return { line: before.split('\n').length, column: offset - before.lastIndexOf('\n') };
}

function tooMany(eventsMax: number): Admission<never> {
  return refuse('too_many_events', { detail: `at most ${eventsMax} events are allowed in one request` });
}
