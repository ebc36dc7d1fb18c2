import { ok, type Verdict } from '@tracehound/event-model';
import { isUuid } from '../domain/event-id.ts';
import type { DecodedEvent, RawEvent } from '../domain/intake-event.ts';
import { isJsonObject, type Json, JsonSyntaxError, parseJson } from '../domain/strict-json.ts';
import { reject } from '../errors.ts';

/** One line or one element of a list becomes a JSON object; too large, not JSON or not an object is refused. */
export function createDecodeStage(options: {
  /** UTF-8 bytes of a native event. */
  readonly eventBytesMax: number;
  /** UTF-8 bytes of a third-party event, which has bounds of its own on fields. */
  readonly externalBytesMax: number;
}): (event: RawEvent) => Verdict<DecodedEvent> {
  return function decode(event) {
    if (event.bytes > Math.max(options.eventBytesMax, options.externalBytesMax)) return tooLarge();
    let value: Json;
    try {
      value = event.source.kind === 'line' ? parseJson(event.source.text) : event.source.value;
    } catch (error) {
      if (!(error instanceof JsonSyntaxError)) throw error;
      const reason = error.duplicateKey ? 'duplicate_key' : 'malformed_json';
      return reject(reason, '', `${error.message}, at character ${error.offset + 1} of the event`);
    }
    if (!isJsonObject(value)) return reject('not_an_object', '', 'an event is a JSON object');
    const eventId = value['event_id'];
    if (typeof eventId === 'string' && isUuid(eventId)) event.trail.eventId = eventId.toLowerCase();
    if (event.bytes > options.eventBytesMax && value['external'] !== true) return tooLarge();
    return ok({ request: event.request, trail: event.trail, object: value, bytes: event.bytes });
  };

  function tooLarge(): Verdict<DecodedEvent> {
    return reject('event_too_large', '', `an event has at most ${options.eventBytesMax} bytes`);
  }
}
