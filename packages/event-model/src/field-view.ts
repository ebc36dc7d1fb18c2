import { scalarOf } from './external-fields.ts';
import type { EventEnvelope, ExternalEvent, FieldChange } from './generated/records.ts';

/** A leaf of an event as rules see it. */
export type FieldScalar = string | number | boolean | null;

/** How Sigma sees an event (contracts 4). */
export type EventFieldView = {
  /** Values under a field name; undefined = absent, `[]` = an empty list. Names are exact, case included. */
  values(field: string): readonly FieldScalar[] | undefined;
  /** As `values`, one value bare; optional, see `FieldView` of the Sigma engine. */
  lookup?(path: { readonly name: string }): FieldScalar | readonly FieldScalar[] | undefined;
  /** Names `values` knows, each once. */
  fields(): Iterable<string>;
  /**
   * Every leaf an unbound keyword may match: for third-party logs their native values; for native events what they
   * tell, without ids, times and bookkeeping.
   */
  keywords(): Iterable<FieldScalar>;
  readonly logSource: {
    readonly product: string | null;
    readonly service: string | null;
    readonly category: string | null;
  };
};

/** Any of the family records, as decoded. */
export type NativeEventRecord = {
  readonly schema_rev: number;
  readonly envelope: EventEnvelope;
  readonly payload: Readonly<Record<string, string>>;
  readonly changes: readonly FieldChange[];
};

/** Fields of a third-party log that are read when they are asked for. */
export type FieldTable = {
  /** A value bare, or the list of values; undefined = absent. */
  lookup(name: string): FieldScalar | readonly FieldScalar[] | undefined;
  /** Each name once, in document order. */
  names(): Iterable<string>;
};

/** A third-party event whose fields lie in a table. */
export type LazyExternalEvent = Omit<ExternalEvent, 'fields'> & { readonly fields: FieldTable };

type Leaf = (envelope: EventEnvelope) => FieldScalar | undefined;
type LeafList = (envelope: EventEnvelope) => readonly string[];

/** Scalar envelope fields by the name rules use. Null reads as absent: the source did not say. */
const ENVELOPE_LEAVES: ReadonlyMap<string, Leaf> = new Map<string, Leaf>([
  ['event_id', (envelope) => envelope.event_id],
  ['event_type', (envelope) => envelope.event_type],
  ['family', (envelope) => envelope.family],
  ['category', (envelope) => envelope.category],
  ['severity', (envelope) => envelope.severity],
  ['outcome', (envelope) => envelope.outcome],
  ['occurred_at', (envelope) => envelope.occurred_at],
  ['event_time', (envelope) => envelope.event_time],
  ['event_time_source', (envelope) => envelope.event_time_source],
  ['clock_skew_ms', (envelope) => envelope.clock_skew_ms],
  ['received_at', (envelope) => envelope.received_at],
  ['organization_id', (envelope) => envelope.organization_id],
  ['intake_org', (envelope) => envelope.intake_org],
  ['cluster_id', (envelope) => envelope.cluster_id],
  ['trace_id', (envelope) => envelope.trace?.trace_id],
  ['span_id', (envelope) => envelope.trace?.span_id],
  ['trace.trace_id', (envelope) => envelope.trace?.trace_id],
  ['trace.span_id', (envelope) => envelope.trace?.span_id],
  ['trace.parent_span_id', (envelope) => envelope.trace?.parent_span_id],
  ['trace.trust', (envelope) => envelope.trace?.trust],
  ['actor.type', (envelope) => envelope.actor?.type],
  ['actor.id', (envelope) => envelope.actor?.id],
  ['actor.name', (envelope) => envelope.actor?.name],
  ['subject.type', (envelope) => envelope.subject?.type],
  ['subject.id', (envelope) => envelope.subject?.id],
  ['subject.name', (envelope) => envelope.subject?.name],
  ['source.platform', (envelope) => envelope.source.platform],
  ['source.service', (envelope) => envelope.source.service],
  ['source.version', (envelope) => envelope.source.version],
  ['source.sdk', (envelope) => envelope.source.sdk],
  ['source.instance', (envelope) => envelope.source.instance],
  ['source.seq', (envelope) => envelope.source.seq],
  ['network.ip', (envelope) => envelope.network?.ip],
  ['network.ip_hash', (envelope) => envelope.network?.ip_hash],
  ['network.ip_hash_kid', (envelope) => envelope.network?.ip_hash_kid],
  ['network.country', (envelope) => envelope.network?.country],
  ['network.asn', (envelope) => envelope.network?.asn],
  ['network.user_agent', (envelope) => envelope.network?.user_agent],
  ['session_id', (envelope) => envelope.session_id],
  ['request_id', (envelope) => envelope.request_id],
  ['error.code', (envelope) => envelope.error?.code],
  ['error.message', (envelope) => envelope.error?.message],
]);

const ENVELOPE_LISTS: ReadonlyMap<string, LeafList> = new Map<string, LeafList>([
  ['redactions', (envelope) => envelope.redactions],
  ['flags', (envelope) => envelope.flags],
]);

/** Every envelope field a rule may name, but for `metadata.*` and `tags.*`. */
export const ENVELOPE_FIELD_NAMES: readonly string[] = [...ENVELOPE_LEAVES.keys(), ...ENVELOPE_LISTS.keys()];
const ENVELOPE_MAPS = ['metadata', 'tags'] as const;
const CHANGE_FIELDS = ['field', 'old_value', 'new_value'] as const;
/** What a record has beside its typed fields. */
const NOT_TYPED: ReadonlySet<string> = new Set(['schema_rev', 'envelope', 'payload', 'changes']);
/** Envelope words a keyword may match. */
const KEYWORD_LEAVES: readonly string[] = [
  'event_type',
  'actor.id',
  'actor.name',
  'subject.id',
  'subject.name',
  'source.platform',
  'source.service',
  'network.ip',
  'network.user_agent',
  'error.code',
  'error.message',
];

/** The view of a decoded event. Building it costs nothing; a third-party log is indexed at the first look, once. */
export function createFieldView(event: NativeEventRecord | ExternalEvent | LazyExternalEvent): EventFieldView {
  if (!('log_source' in event)) return nativeView(event);
  return isLazy(event) ? new LazyExternalView(event) : externalView(event);
}

function isLazy(event: ExternalEvent | LazyExternalEvent): event is LazyExternalEvent {
  return !Array.isArray(event.fields);
}

/** A class, so that a view is one small object per event. */
class LazyExternalView implements EventFieldView {
  private readonly event: LazyExternalEvent;

  constructor(event: LazyExternalEvent) {
    this.event = event;
  }

  lookup({ name }: { readonly name: string }): FieldScalar | readonly FieldScalar[] | undefined {
    const found = this.event.fields.lookup(name);
    if (found !== undefined) return found;
    const values = envelopeValues(this.event.envelope, name);
    return values?.length === 1 ? values[0] : values;
  }

  values(field: string): readonly FieldScalar[] | undefined {
    const found = this.event.fields.lookup(field);
    if (found === undefined) return envelopeValues(this.event.envelope, field);
    return isList(found) ? found : [found];
  }

  *fields(): Iterable<string> {
    const { fields, envelope } = this.event;
    yield* fields.names();
    for (const name of envelopeNames(envelope)) if (fields.lookup(name) === undefined) yield name;
  }

  *keywords(): Iterable<FieldScalar> {
    const { fields } = this.event;
    for (const name of fields.names()) {
      const found = fields.lookup(name);
      if (found === undefined) continue;
      if (isList(found)) yield* found;
      else yield found;
    }
  }

  get logSource(): EventFieldView['logSource'] {
    return this.event.log_source;
  }
}

function isList(found: FieldScalar | readonly FieldScalar[]): found is readonly FieldScalar[] {
  return typeof found === 'object' && found !== null;
}

function externalView(event: ExternalEvent): EventFieldView {
  let index: Map<string, readonly FieldScalar[]> | undefined;
  const native = (): ReadonlyMap<string, readonly FieldScalar[]> => {
    index ??= new Map(event.fields.map((field) => [field.name, field.values.map(scalarOf)]));
    return index;
  };
  return {
    values: (field) => native().get(field) ?? envelopeValues(event.envelope, field),
    *fields() {
      yield* native().keys();
      for (const name of envelopeNames(event.envelope)) if (!native().has(name)) yield name;
    },
    *keywords() {
      for (const values of native().values()) yield* values;
    },
    logSource: event.log_source,
  };
}

function nativeView(event: NativeEventRecord): EventFieldView {
  const { envelope, payload, changes } = event;
  // Typed fields differ by family; the index signature is only ever read.
  const typed = event as unknown as Readonly<Record<string, FieldScalar>>;

  function ownValues(field: string): readonly FieldScalar[] | undefined {
    if (!NOT_TYPED.has(field) && Object.hasOwn(typed, field)) {
      const value = typed[field];
      if (value !== null && value !== undefined) return [value];
    }
    const change = CHANGE_FIELDS.find((name) => field === `changes.${name}`);
    if (change) return changes.length === 0 ? undefined : changes.map((entry) => entry[change]);
    return Object.hasOwn(payload, field) ? [payload[field] ?? null] : undefined;
  }

  function* ownNames(): Iterable<string> {
    for (const name of Object.keys(typed)) if (!NOT_TYPED.has(name) && typed[name] !== null) yield name;
    if (changes.length > 0) for (const name of CHANGE_FIELDS) yield `changes.${name}`;
    for (const name of Object.keys(payload)) if (typed[name] === undefined || typed[name] === null) yield name;
  }

  return {
    // A payload key must not be able to pass for the event's actor or organization, not even where those are null.
    values: (field) => (isEnvelopeName(field) ? envelopeValues(envelope, field) : ownValues(field)),
    *fields() {
      yield* envelopeNames(envelope);
      for (const name of ownNames()) if (!isEnvelopeName(name)) yield name;
    },
    *keywords() {
      for (const name of KEYWORD_LEAVES) yield* envelopeValues(envelope, name) ?? [];
      yield* Object.values(envelope.metadata);
      yield* Object.values(envelope.tags);
      for (const name of ownNames()) yield* ownValues(name) ?? [];
    },
    logSource: { product: 'tracehound', service: envelope.family, category: envelope.category },
  };
}

function isEnvelopeName(field: string): boolean {
  return (
    ENVELOPE_LEAVES.has(field) || ENVELOPE_LISTS.has(field) || ENVELOPE_MAPS.some((map) => field.startsWith(`${map}.`))
  );
}

function envelopeValues(envelope: EventEnvelope, field: string): readonly FieldScalar[] | undefined {
  const leaf = ENVELOPE_LEAVES.get(field);
  if (leaf) {
    const value = leaf(envelope);
    return value === null || value === undefined ? undefined : [value];
  }
  const list = ENVELOPE_LISTS.get(field);
  if (list) return list(envelope);
  for (const map of ENVELOPE_MAPS) {
    if (!field.startsWith(`${map}.`)) continue;
    const key = field.slice(map.length + 1);
    const entries = envelope[map];
    return Object.hasOwn(entries, key) ? [entries[key] ?? null] : undefined;
  }
  return undefined;
}

function* envelopeNames(envelope: EventEnvelope): Iterable<string> {
  for (const [name, leaf] of ENVELOPE_LEAVES) {
    const value = leaf(envelope);
    if (value !== null && value !== undefined) yield name;
  }
  yield* ENVELOPE_LISTS.keys();
  for (const map of ENVELOPE_MAPS) for (const key of Object.keys(envelope[map])) yield `${map}.${key}`;
}
