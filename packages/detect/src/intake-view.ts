import {
  createFieldView,
  type EventEnvelope,
  type EventTypeDefinition,
  eventTypeOf,
  PLATFORM_ORGANIZATION,
  severityOf,
} from '@tracehound/event-model';
import { createJsonFieldView, type FieldView, type LogSource } from '@tracehound/sigma';

type Json = Readonly<Record<string, unknown>>;

/** How rules see an event that is in our own intake form. */
export type IntakeEvent = {
  readonly view: FieldView;
  readonly logSource: LogSource;
  readonly organization: string;
  /** Correction the source stamped onto its time (X2), ms. */
  readonly skewMs: number;
  readonly instance: string | null;
  readonly sequence: number | null;
  /** Null for a third-party record. */
  readonly native: NativeEvent | null;
};

/** An event of our own catalogue, as the gateway would have put it into the log. */
export type NativeEvent = { readonly envelope: EventEnvelope; readonly payload: Readonly<Record<string, string>> };

/**
 * Reads an event in the form the gateway takes it: `event_type` of the catalogue, or a third-party record inside
 * (`external: true`, `log_source`, `event`). Undefined for anything else, to be seen as the JSON it is: a flat record whose
 * `event_type` only happens to be a name of ours is somebody else's log.
 *
 * Rules see the names they would see live, so that offline is online. What only the gateway knows is stood in for:
 * `network.ip_hash` is a text made of the address, not the keyed hash.
 */
export function readIntakeEvent(event: Json): IntakeEvent | undefined {
  if (event['external'] === true) return readExternal(event);
  const type = event['event_type'];
  const definition = typeof type === 'string' ? eventTypeOf(type) : undefined;
  if (!definition || definition.record === 'ExternalEvent' || !hasShape(event)) return undefined;
  return readNative(event, definition);
}

/** What the gateway says of a trace; events read back from the audit log carry it. */
const TRUSTS = ['ANONYMOUS', 'AUTHENTICATED', 'GATEWAY'] as const;

/** Objects of the intake form; every producer sends at least `source`. */
const PARTS = ['source', 'actor', 'subject', 'payload', 'trace'] as const;

function hasShape(event: Json): boolean {
  return PARTS.some((part) => objectOf(event[part]) !== undefined);
}

function readExternal(event: Json): IntakeEvent | undefined {
  const inner = objectOf(event['event']);
  const source = objectOf(event['log_source']);
  if (!inner || !source) return undefined;
  const own = createJsonFieldView(inner);
  const around = createJsonFieldView({ ...event, event: undefined, log_source: undefined, external: undefined });
  return {
    view: { values: (field) => own.values(field) ?? around.values(field), keywords: () => own.keywords() },
    logSource: {
      product: textOf(source['product']),
      service: textOf(source['service']),
      category: textOf(source['category']),
    },
    native: null,
    ...placeOf(event),
  };
}

function readNative(event: Json, definition: EventTypeDefinition): IntakeEvent {
  const native = { envelope: envelopeOf(event, definition), payload: textsOf(event['payload']) };
  const own = createFieldView({
    schema_rev: 1,
    ...native,
    changes: changesOf(event['changes']),
  });
  const asWritten = createJsonFieldView(event);
  return {
    view: { values: (field) => own.values(field) ?? asWritten.values(field), keywords: () => own.keywords() },
    logSource: own.logSource,
    native,
    ...placeOf(event),
  };
}

function placeOf(event: Json): Omit<IntakeEvent, 'view' | 'logSource' | 'native'> {
  const source = objectOf(event['source']);
  return {
    organization: organizationOf(event),
    skewMs: numberOf(event['clock_skew_ms']) ?? 0,
    instance: textOf(source?.['instance']),
    sequence: numberOf(source?.['seq']),
  };
}

function organizationOf(event: Json): string {
  return textOf(event['organization_id']) ?? PLATFORM_ORGANIZATION;
}

function envelopeOf(event: Json, definition: EventTypeDefinition): EventEnvelope {
  const [source, network, error, trace] = [
    objectOf(event['source']),
    objectOf(event['network']),
    objectOf(event['error']),
    objectOf(event['trace']),
  ];
  const outcome = textOf(event['outcome'])?.toUpperCase();
  const ip = textOf(network?.['ip']);
  const occurredAt = Date.parse(textOf(event['occurred_at']) ?? '');
  const time = Number.isNaN(occurredAt) ? null : occurredAt;
  return {
    event_id: textOf(event['event_id']) ?? '',
    event_type: definition.name,
    family: definition.family,
    category: definition.category,
    severity: severityOf(textOf(event['severity']) ?? '') ?? definition.severity,
    outcome: outcome === 'SUCCESS' || outcome === 'FAILURE' || outcome === 'UNKNOWN' ? outcome : definition.outcome,
    occurred_at: time,
    event_time: time ?? 0,
    event_time_source: 'OCCURRED',
    clock_skew_ms: null,
    received_at: time ?? 0,
    organization_id: textOf(event['organization_id']),
    intake_org: organizationOf(event),
    cluster_id: 'offline',
    trace: trace
      ? {
          trace_id: textOf(trace['trace_id']) ?? '',
          span_id: textOf(trace['span_id']),
          parent_span_id: textOf(trace['parent_span_id']),
          trust: TRUSTS.find((trust) => trust === trace['trust']) ?? 'AUTHENTICATED',
        }
      : null,
    actor: entityOf(event['actor']),
    subject: entityOf(event['subject']),
    source: {
      platform: textOf(source?.['platform']) ?? '',
      service: textOf(source?.['service']),
      version: textOf(source?.['version']),
      sdk: textOf(source?.['sdk']),
      instance: textOf(source?.['instance']),
      seq: numberOf(source?.['seq']),
    },
    network: network
      ? {
          ip,
          ip_hash: textOf(network['ip_hash']) ?? (ip === null ? null : `hash of ${ip}`),
          ip_hash_kid: textOf(network['ip_hash_kid']),
          country: textOf(network['country']),
          asn: numberOf(network['asn']),
          user_agent: textOf(network['user_agent']),
        }
      : null,
    session_id: textOf(event['session_id']),
    request_id: textOf(event['request_id']),
    error: error ? { code: textOf(error['code']), message: textOf(error['message']) } : null,
    tags: textsOf(event['tags']),
    metadata: textsOf(event['metadata']),
    redactions: [],
    flags: textListOf(event['flags']),
  };
}

function objectOf(value: unknown): Json | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : undefined;
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}

function textListOf(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}

function numberOf(value: unknown): number | null {
  return typeof value === 'number' ? value : null;
}

function entityOf(value: unknown): EventEnvelope['actor'] {
  const entity = objectOf(value);
  if (!entity) return null;
  return {
    type: textOf(entity['type']) ?? 'user',
    id: textOf(entity['id']) ?? '',
    name: textOf(entity['name']),
  };
}

/** As the gateway keeps them: every value a text, null left out, what is nested as its JSON text. */
function textsOf(value: unknown): Readonly<Record<string, string>> {
  const texts: Record<string, string> = Object.create(null);
  for (const [name, inner] of Object.entries(objectOf(value) ?? {})) {
    if (inner !== null) texts[name] = typeof inner === 'string' ? inner : JSON.stringify(inner);
  }
  return texts;
}

function changesOf(value: unknown): { field: string; old_value: string | null; new_value: string | null }[] {
  if (!Array.isArray(value)) return [];
  return value.map((entry) => {
    const change = textsOf(entry);
    return {
      field: change['field'] ?? '',
      old_value: change['old_value'] ?? null,
      new_value: change['new_value'] ?? null,
    };
  });
}
