import { invariant } from './errors.ts';
import {
  EVENT_TYPES,
  type EventRecordByType,
  type EventType,
  type EventTypeDefinition,
  SEVERITIES,
  type Vocabulary,
} from './generated/event-types.ts';
import { type EventEnvelope, SEVERITY_SYMBOLS, type Severity } from './generated/records.ts';

// Maps, not objects: names come from outside, and `__proto__` must be an unknown type like any other.
const BY_NAME: ReadonlyMap<string, EventTypeDefinition> = new Map(EVENT_TYPES.map((type) => [type.name, type]));
const BY_ALIAS: ReadonlyMap<string, EventTypeDefinition> = new Map(
  EVENT_TYPES.flatMap((type) => type.aliases.map((alias) => [alias.name, type] as const)),
);
const SEVERITY_BY_WORD: ReadonlyMap<string, Severity> = new Map(
  SEVERITY_SYMBOLS.flatMap((severity) =>
    [severity.toLowerCase(), ...SEVERITIES[severity].aliases].map((word) => [word, severity] as const),
  ),
);

/** The definition of a canonical name or an alias; undefined = not in the catalogue. */
export function eventTypeOf(name: string): EventTypeDefinition | undefined {
  return BY_NAME.get(name) ?? BY_ALIAS.get(name);
}

/** Is this a canonical name? Aliases are not: resolve them with `eventTypeOf` first. */
export function isEventType(name: string): name is EventType {
  return BY_NAME.has(name);
}

/** The definition of a canonical name. Total, because `EventType` names catalogued types only. */
export function definitionOf(type: EventType): EventTypeDefinition {
  const definition = BY_NAME.get(type);
  invariant(definition, 'an EventType is in the catalogue');
  return definition;
}

/** The name of a type in another vocabulary: the way back from `eventTypeOf`. Undefined = it has none there. */
export function aliasOf(type: EventType, vocabulary: Vocabulary): string | undefined {
  return definitionOf(type).aliases.find((alias) => alias.vocabulary === vocabulary)?.name;
}

/** Severity of a word of any vocabulary in the published table, without case; undefined = unknown word. */
export function severityOf(word: string): Severity | undefined {
  return SEVERITY_BY_WORD.get(word.toLowerCase());
}

/**
 * Discriminated by `envelope.event_type`: narrowing the type narrows the record. `TypedEvent<'auth.logout'>` is an
 * `AuthenticationEvent`; a misspelt type does not compile.
 */
export type TypedEvent<T extends EventType = EventType> = {
  [K in T]: Omit<EventRecordByType[K], 'envelope'> & { readonly envelope: EventEnvelope & { readonly event_type: K } };
}[T];
