import {
  type EntityRefInput,
  type EventTypeDefinition,
  ExternalEventError,
  type ExternalField,
  eventTypeOf,
  flattenExternal,
  OUTCOME_SYMBOLS,
  type Outcome,
  ok,
  type Severity,
  severityOf,
  type Verdict,
} from '@tracehound/event-model';
import { isUuid, newEventId } from '../domain/event-id.ts';
import { parseInstant } from '../domain/event-time.ts';
import { FieldReader, type ProblemReport } from '../domain/field-reader.ts';
import type { DecodedEvent, ExternalBody, NativeBody, ValidEvent } from '../domain/intake-event.ts';
import { placeEvent } from '../domain/organization-scope.ts';
import { isSpanId, isTraceId, parseTraceparent, type TraceIds } from '../domain/trace-context.ts';
import { type RejectionReason, reject } from '../errors.ts';

/** Fields of the form clients send. */
const CLIENT_FIELDS = [
  'event_id',
  'event_type',
  'occurred_at',
  'clock_skew_ms',
  'organization_id',
  'traceparent',
  'trace',
  'actor',
  'subject',
  'source',
  'network',
  'session_id',
  'request_id',
  'outcome',
  'severity',
  'error',
  'metadata',
  'tags',
  'external',
];
/** Fields the gateway writes itself: whatever a client puts there is not looked at, so records can be sent back as read. */
const SERVER_FIELDS = [
  'schema_rev',
  'family',
  'category',
  'event_time',
  'event_time_source',
  'received_at',
  'intake_org',
  'cluster_id',
  'redactions',
  'flags',
];
const NATIVE_FIELDS: ReadonlySet<string> = new Set([...CLIENT_FIELDS, ...SERVER_FIELDS, 'payload', 'changes']);
const EXTERNAL_FIELDS: ReadonlySet<string> = new Set([...CLIENT_FIELDS, ...SERVER_FIELDS, 'log_source', 'event']);
const ENTITY_FIELDS: ReadonlySet<string> = new Set(['type', 'id', 'name']);
const SOURCE_FIELDS: ReadonlySet<string> = new Set(['platform', 'service', 'version', 'sdk', 'instance', 'seq']);
const NETWORK_FIELDS: ReadonlySet<string> = new Set(['ip', 'user_agent', 'ip_hash', 'ip_hash_kid', 'country', 'asn']);
const ERROR_FIELDS: ReadonlySet<string> = new Set(['code', 'message']);
const LOG_SOURCE_FIELDS: ReadonlySet<string> = new Set(['product', 'service', 'category']);
const CHANGE_FIELDS: ReadonlySet<string> = new Set(['field', 'old_value', 'new_value']);
const TRACE_FIELDS: ReadonlySet<string> = new Set(['trace_id', 'span_id', 'parent_span_id', 'trust']);

/** strictly fewer than 20 keys. */
const KEYS_MAX = 19;
const CHANGES_MAX = 50;
/** A week: a clock that is further off is not skewed but wrong. */
const CLOCK_SKEW_MS_MAX = 7 * 86_400_000;

/**
 * Checks every field against the form and the catalogue and gives it a type. Only the first problem is reported, with
 * its position. A broken trace is no reason to lose an event: it is left out and flagged.
 */
export function createValidateStage(
  options: { newEventId?: (nowMs: number) => string } = {},
): (event: DecodedEvent) => Verdict<ValidEvent> {
  const makeId = options.newEventId ?? newEventId;

  return function validate({ object, request, trail }) {
    const report: ProblemReport = { problem: null };
    const reader = new FieldReader(object, '', report);
    const external = object['external'] === true;
    reader.onlyKnown(external ? EXTERNAL_FIELDS : NATIVE_FIELDS);

    const eventId = readEventId(reader) ?? makeId(request.receivedAtMs);
    const { definition, alias } = readType(reader, external);
    const stated = reader.text('organization_id', { max: 256 });
    const placed = placeEvent(request.caller.scope, stated, definition?.nullOrganization ?? false);
    if (!placed.ok && definition) reader.problem('organization_id', placed.reason, placed.detail);
    const body = external ? readExternal(reader) : readNative(reader);
    const network = reader.child('network');
    network?.onlyKnown(NETWORK_FIELDS);
    const error = reader.child('error');
    error?.onlyKnown(ERROR_FIELDS);
    const trace = readTrace(reader, request.trace);

    const event = {
      request,
      trail,
      eventId,
      alias,
      occurredAtMs: readOccurredAt(reader),
      clockSkewMs: reader.integer('clock_skew_ms', { min: -CLOCK_SKEW_MS_MAX, max: CLOCK_SKEW_MS_MAX }),
      severity: readSeverity(reader, definition),
      outcome: readOutcome(reader, definition),
      trace: trace.ids,
      actor: readEntity(reader, 'actor'),
      subject: readEntity(reader, 'subject'),
      source: readSource(reader, body),
      address: network?.text('ip', { max: 256 }) ?? null,
      userAgent: network?.text('user_agent', { max: 512, cut: true }) ?? null,
      sessionId: reader.text('session_id', { max: 256 }),
      requestId: reader.text('request_id', { max: 256 }),
      error: error && {
        code: error.text('code', { max: 128 }),
        message: error.text('message', { max: 8_192, cut: true }),
      },
      tags: reader.textMap('tags', { keysMax: KEYS_MAX, nested: false }),
      metadata: reader.textMap('metadata', { keysMax: KEYS_MAX, nested: false }),
      flags: trace.broken ? ['trace_invalid'] : [],
      body,
    };
    if (report.problem) return reject(report.problem.reason, report.problem.field, report.problem.detail);
    // Both were reported as problems when missing; the compiler cannot see through the report.
    if (!definition || !placed.ok) return reject('unknown_event_type', '/event_type', 'this event type is unknown');
    trail.eventId = eventId;
    return ok({ ...event, definition, placement: placed.placement });
  };
}

function readEventId(reader: FieldReader): string | null {
  const text = reader.text('event_id', { max: 64 });
  if (text === null) return null;
  return isUuid(text) ? text.toLowerCase() : reader.problem('event_id', 'invalid_value', 'a UUID is expected');
}

function readType(
  reader: FieldReader,
  external: boolean,
): { readonly definition: EventTypeDefinition | null; readonly alias: string | null } {
  const name = reader.text('event_type', { max: 128, required: !external }) ?? (external ? 'external.event' : null);
  if (name === null) return { definition: null, alias: null };
  const definition = eventTypeOf(name);
  const usable = definition && (external || definition.record !== 'ExternalEvent');
  if (!usable) {
    reader.problem('event_type', 'unknown_event_type', 'this event type is not in the catalogue (GET /v1/event-types)');
    return { definition: null, alias: null };
  }
  return { definition, alias: definition.name === name ? null : name };
}

function readOccurredAt(reader: FieldReader): number | null {
  const text = reader.text('occurred_at', { max: 64 });
  if (text === null) return null;
  return parseInstant(text) ?? reader.problem('occurred_at', 'invalid_value', 'an RFC 3339 time with zone is expected');
}

function readSeverity(reader: FieldReader, definition: EventTypeDefinition | null): Severity {
  const fallback = definition?.severity ?? 'UNKNOWN';
  const word = reader.text('severity', { max: 32 });
  if (word === null) return fallback;
  return severityOf(word) ?? reader.problem('severity', 'invalid_value', 'this severity is unknown') ?? fallback;
}

function readOutcome(reader: FieldReader, definition: EventTypeDefinition | null): Outcome {
  const fallback = definition?.outcome ?? 'UNKNOWN';
  const word = reader.text('outcome', { max: 32 })?.toUpperCase();
  if (word === undefined) return fallback;
  const outcome = OUTCOME_SYMBOLS.find((symbol) => symbol === word);
  return outcome ?? reader.problem('outcome', 'invalid_value', 'allowed are success, failure and unknown') ?? fallback;
}

/** An event's own trace wins over the request's; `trace` wins over `traceparent`. */
function readTrace(
  reader: FieldReader,
  ofRequest: TraceIds | null,
): { readonly ids: TraceIds | null; readonly broken: boolean } {
  const trace = reader.child('trace');
  if (trace) {
    trace.onlyKnown(TRACE_FIELDS);
    const traceId = trace.text('trace_id', { max: 64 })?.toLowerCase() ?? '';
    const spanId = trace.text('span_id', { max: 64 })?.toLowerCase() ?? null;
    const parentSpanId = trace.text('parent_span_id', { max: 64 })?.toLowerCase() ?? null;
    const sound = isTraceId(traceId) && [spanId, parentSpanId].every((id) => id === null || isSpanId(id));
    return sound ? { ids: { traceId, spanId, parentSpanId }, broken: false } : { ids: null, broken: true };
  }
  const text = reader.text('traceparent', { max: 256 });
  if (text === null) return { ids: ofRequest, broken: false };
  const ids = parseTraceparent(text);
  return { ids, broken: ids === null };
}

function readEntity(reader: FieldReader, key: 'actor' | 'subject'): EntityRefInput | null {
  const entity = reader.child(key);
  if (!entity) return null;
  entity.onlyKnown(ENTITY_FIELDS);
  return {
    type: entity.text('type', { max: 64 }) ?? 'user',
    id: entity.text('id', { max: 256, required: true }) ?? '',
    name: entity.text('name', { max: 256 }),
  };
}

function readSource(reader: FieldReader, body: NativeBody | ExternalBody): ValidEvent['source'] {
  const source = reader.child('source');
  source?.onlyKnown(SOURCE_FIELDS);
  const platform = source?.text('platform', { max: 64 }) ?? (body.kind === 'external' ? body.logSource.product : null);
  if (!platform && source) source.problem('platform', 'missing_field', 'the platform that reports is required');
  if (!platform && !source) reader.problem('source', 'missing_field', 'source.platform is required');
  return {
    platform: platform ?? '',
    service: source?.text('service', { max: 128 }) ?? null,
    version: source?.text('version', { max: 64 }) ?? null,
    sdk: source?.text('sdk', { max: 64 }) ?? null,
    instance: source?.text('instance', { max: 128 }) ?? null,
    seq: source?.integer('seq', { min: 0, max: Number.MAX_SAFE_INTEGER }) ?? null,
  };
}

function readNative(reader: FieldReader): NativeBody {
  return {
    kind: 'native',
    payload: reader.textMap('payload', { keysMax: KEYS_MAX, nested: true }),
    changes: reader.children('changes', CHANGES_MAX).map((change) => {
      change.onlyKnown(CHANGE_FIELDS);
      return {
        field: change.text('field', { max: 128, required: true }) ?? '',
        old_value: change.anyText('old_value'),
        new_value: change.anyText('new_value'),
      };
    }),
  };
}

function readExternal(reader: FieldReader): ExternalBody {
  const logSource = reader.child('log_source');
  logSource?.onlyKnown(LOG_SOURCE_FIELDS);
  if (!logSource)
    reader.problem('log_source', 'missing_field', 'log_source with product, service or category is required');
  return {
    kind: 'external',
    logSource: {
      product: logSource?.text('product', { max: 64 }) ?? null,
      service: logSource?.text('service', { max: 64 }) ?? null,
      category: logSource?.text('category', { max: 64 }) ?? null,
    },
    fields: readFields(reader),
  };
}

const EXTERNAL_PROBLEMS: Readonly<Record<string, RejectionReason>> = {
  SEC_EVENT_FIELDS: 'too_many_fields',
  SEC_EVENT_BYTES: 'event_too_large',
  SEC_EVENT_DEPTH: 'invalid_value',
  SEC_EVENT_SCALAR: 'wrong_type',
};

function readFields(reader: FieldReader): readonly ExternalField[] {
  const event = reader.child('event');
  if (!event) {
    reader.problem('event', 'missing_field', 'event with the native fields is required');
    return [];
  }
  try {
    return flattenExternal(reader.raw('event'));
  } catch (error) {
    if (!(error instanceof ExternalEventError)) throw error;
    reader.problem('event', EXTERNAL_PROBLEMS[error.code] ?? 'invalid_value', error.message);
    return [];
  }
}
