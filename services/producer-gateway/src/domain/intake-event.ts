import type { EnrichableEvent } from '@tracehound/enrich';
import type {
  EntityRefInput,
  EventRecordName,
  EventTypeDefinition,
  ExternalField,
  FieldChangeInput,
  LogSourceInput,
  Outcome,
  RecordInputByName,
  Severity,
} from '@tracehound/event-model';
import type { Caller } from './api-key.ts';
import type { Placement } from './organization-scope.ts';
import type { Json, JsonObject } from './strict-json.ts';
import type { TraceIds } from './trace-context.ts';

/** What one request says about all of its events. */
export type RequestContext = {
  readonly caller: Caller;
  /** When the whole body had been read (ms UTC). */
  readonly receivedAtMs: number;
  /** The request's own `traceparent`; meant for the event only when the request holds a single one. */
  readonly trace: TraceIds | null;
};

/** What the answer says about an event, collected on its way; nothing downstream depends on it. */
export type Trail = { eventId: string | null; redactions: readonly string[]; dedup: 'checked' | 'unknown' };

/** One event as it lies in the body: already parsed as part of a document, or a line still to be parsed. */
export type RawEvent = {
  readonly index: number;
  readonly request: RequestContext;
  readonly source: { readonly kind: 'line'; readonly text: string } | { readonly kind: 'value'; readonly value: Json };
  /** UTF-8 bytes of its text. */
  readonly bytes: number;
  readonly trail: Trail;
};

type Carried = { readonly request: RequestContext; readonly trail: Trail };

export type DecodedEvent = Carried & { readonly object: JsonObject; readonly bytes: number };

/** Every field checked and typed; texts still as sent. */
export type ValidEvent = Carried & {
  readonly eventId: string;
  readonly definition: EventTypeDefinition;
  /** The word of another vocabulary the event came with; null when it used the canonical name. */
  readonly alias: string | null;
  readonly placement: Placement;
  readonly occurredAtMs: number | null;
  readonly clockSkewMs: number | null;
  readonly severity: Severity;
  readonly outcome: Outcome;
  readonly trace: TraceIds | null;
  readonly actor: EntityRefInput | null;
  readonly subject: EntityRefInput | null;
  readonly source: RecordInputByName['tracehound.events.v1.ActivityEvent']['envelope']['source'];
  readonly address: string | null;
  readonly userAgent: string | null;
  readonly sessionId: string | null;
  readonly requestId: string | null;
  readonly error: { readonly code: string | null; readonly message: string | null } | null;
  readonly tags: TextMap;
  readonly metadata: TextMap;
  readonly flags: readonly string[];
  readonly body: NativeBody | ExternalBody;
};

export type TextMap = Readonly<Record<string, string>>;

export type NativeBody = {
  readonly kind: 'native';
  readonly payload: TextMap;
  readonly changes: readonly FieldChangeInput[];
};

export type ExternalBody = {
  readonly kind: 'external';
  readonly logSource: LogSourceInput;
  readonly fields: readonly ExternalField[];
};

/** As `ValidEvent`, but texts are free of what R-112 forbids; `redactions` says what was taken out. */
export type SanitisedEvent = ValidEvent & { readonly redactions: readonly string[] };

/** The record that will be written, still as an object. */
export type EnrichedEvent = Carried & {
  readonly eventId: string;
  readonly intakeOrg: string;
  readonly topic: 'security.events' | 'security.telemetry';
  readonly name: `tracehound.events.v1.${EventRecordName}`;
  readonly record: EventRecordInput;
  /** What enrichers look at; null for third-party events. */
  readonly enrichable: EnrichableEvent | null;
};

export type EventRecordInput = RecordInputByName[`tracehound.events.v1.${EventRecordName}`];

/** Bytes, key and headers of the Kafka record. */
export type EncodedEvent = Carried & {
  readonly eventId: string;
  readonly intakeOrg: string;
  readonly topic: string;
  readonly key: string;
  readonly value: Buffer;
  readonly headers: Readonly<Record<string, string>>;
};

/** Where an event lies, for good. */
export type Coordinates = { readonly topic: string; readonly partition: number; readonly offset: string };

export type ProducedEvent = Carried & { readonly eventId: string; readonly at: Coordinates };
