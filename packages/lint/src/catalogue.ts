import {
  ENVELOPE_FIELD_NAMES,
  EVENT_TYPES,
  type EventTypeDefinition,
  OUTCOME_SYMBOLS,
  RECORD,
  RECORD_SCHEMAS,
  SEVERITY_SYMBOLS,
} from '@tracehound/event-model';
import { type DetectionSketch, itemsOf } from './detection-sketch.ts';
import type { RuleDocument } from './rule-document.ts';

/** Families: what a rule for our own events may have as `service`. */
export const FAMILIES: readonly string[] = [...new Set(EVENT_TYPES.map(({ family }) => family))];
/** Categories of our own events. */
export const CATEGORIES: readonly string[] = [...new Set(EVENT_TYPES.map(({ category }) => category))];

/** Words a field can hold; any other makes a selection that matches nothing. */
export const CLOSED_FIELDS: ReadonlyMap<string, readonly string[]> = new Map([
  ['severity', SEVERITY_SYMBOLS],
  ['outcome', OUTCOME_SYMBOLS],
  ['category', CATEGORIES],
  ['family', FAMILIES],
]);

/** Field names of earlier vocabularies, and the name rules must use now. */
export const DEPRECATED_FIELDS: ReadonlyMap<string, string> = new Map([
  ['user_id', 'actor.id'],
  ['user.id', 'actor.id'],
  ['username', 'actor.name'],
  ['org_id', 'organization_id'],
  ['organizationId', 'organization_id'],
  ['traceId', 'trace_id'],
  ['spanId', 'span_id'],
  ['sessionId', 'session_id'],
  ['eventType', 'event_type'],
  ['event.type', 'event_type'],
  ['timestamp', 'event_time'],
  ['ip', 'network.ip'],
  ['ip_address', 'network.ip'],
  ['source_ip', 'network.ip'],
  ['user_agent', 'network.user_agent'],
  ['country', 'network.country'],
  ['platform', 'source.platform'],
]);

const OPEN_PREFIXES: readonly string[] = ['metadata.', 'tags.'];
const CHANGE_FIELDS: readonly string[] = ['changes.field', 'changes.old_value', 'changes.new_value'];
/** Parts of a record that rules see under other names. */
const NOT_FIELDS: readonly string[] = ['schema_rev', 'envelope', 'payload', 'changes'];

/** Is the rule, or filter, about our own events? */
export function isNative(rule: RuleDocument): boolean {
  return rule.logSource.product === 'tracehound';
}

/** Event types a rule can be about: those its selections name, else all of its service and category. */
export function eventTypesOf(rule: RuleDocument): readonly EventTypeDefinition[] {
  const { service, category } = rule.logSource;
  const inSource = EVENT_TYPES.filter(
    (type) => (service === null || type.family === service) && (category === null || type.category === category),
  );
  const named = rule.detection ? namedTypes(rule.detection, inSource) : [];
  return named.length > 0 ? named : inSource;
}

function namedTypes(detection: DetectionSketch, types: readonly EventTypeDefinition[]): readonly EventTypeDefinition[] {
  const values = itemsOf(detection)
    .filter(({ field, modifiers }) => field === 'event_type' && modifiers.length === 0)
    .flatMap(({ values: nodes }) => nodes.map(({ value }) => String(value).toLowerCase()));
  return types.filter(({ name }) => values.some((value) => isLike(name, value)));
}

function isLike(name: string, pattern: string): boolean {
  if (!pattern.includes('*')) return name === pattern;
  const [head = '', ...tail] = pattern.split('*');
  return name.startsWith(head) && name.endsWith(tail.at(-1) ?? '');
}

/** Field names events of these types have; open maps are not listed. */
export function fieldsOf(types: readonly EventTypeDefinition[]): ReadonlySet<string> {
  const fields = new Set<string>([...ENVELOPE_FIELD_NAMES, ...CHANGE_FIELDS]);
  for (const record of new Set(types.map((type) => type.record))) {
    for (const name of typedFieldsOf(record)) fields.add(name);
  }
  for (const type of types) for (const key of Object.keys(type.payload)) fields.add(key);
  return fields;
}

const typedFields = new Map<string, readonly string[]>();

function typedFieldsOf(record: EventTypeDefinition['record']): readonly string[] {
  let names = typedFields.get(record);
  if (!names) {
    const fields = RECORD_SCHEMAS[RECORD[record]].fields as readonly { readonly name: string }[];
    names = fields.map(({ name }) => name).filter((name) => !NOT_FIELDS.includes(name));
    typedFields.set(record, names);
  }
  return names;
}

/** May an event have this field? Metadata and tags are open. */
export function isField(name: string, fields: ReadonlySet<string>): boolean {
  return fields.has(name) || OPEN_PREFIXES.some((prefix) => name.startsWith(prefix));
}
