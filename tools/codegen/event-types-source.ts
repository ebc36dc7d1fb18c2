import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import type { NamedType } from './avro-source.ts';

export type Sensitivity = 'none' | 'low' | 'high';
type Inherited = {
  readonly record: string;
  readonly category: string;
  readonly retention: string;
  readonly topic: string;
  readonly sample: 'never' | 'allowed';
};
export type FamilySource = Inherited & { readonly doc: string };
export type TypeSource = Partial<Inherited> & {
  readonly doc: string;
  readonly origin: string;
  readonly severity: string;
  readonly outcome: string;
  readonly null_organization: boolean;
  readonly ecs: { readonly category: readonly string[]; readonly type: readonly string[] };
  readonly ocsf: { readonly class_uid: number; readonly activity_id: number };
  readonly payload?: Readonly<Record<string, Sensitivity>>;
  readonly aliases?: readonly { readonly name: string; readonly vocabulary: string }[];
};
/** A fact that an enricher adds to the payload of some types. */
export type EnrichedSource = {
  readonly type: 'number' | 'boolean' | 'text';
  readonly unit: string | null;
  readonly sensitivity: Sensitivity;
  readonly on: readonly string[];
  readonly doc: string;
};
export type CatalogueSource = {
  readonly severities: Readonly<
    Record<string, { readonly sigma: string | null; readonly ocsf: number; readonly aliases: readonly string[] }>
  >;
  readonly retention: Readonly<Record<string, { readonly duration: string; readonly reason: string }>>;
  readonly sensitivity: Readonly<Record<string, Sensitivity>>;
  readonly record_sensitivity?: Readonly<Record<string, Readonly<Record<string, Sensitivity>>>>;
  readonly enriched?: Readonly<Record<string, EnrichedSource>>;
  readonly families: Readonly<Record<string, FamilySource>>;
  readonly types: Readonly<Record<string, TypeSource>>;
};

export function readCatalogue(file: string): CatalogueSource {
  return parse(readFileSync(file, 'utf8')) as CatalogueSource;
}

/** The family of a type is the first word of its name. */
export function familyOf(name: string): string {
  return name.slice(0, name.indexOf('.'));
}

export type CompleteType = Inherited & {
  readonly name: string;
  readonly family: string;
  readonly doc: string;
  readonly origin: string;
  readonly severity: string;
  readonly outcome: string;
  readonly nullOrganization: boolean;
  readonly payload: Readonly<Record<string, Sensitivity>>;
  readonly ecs: { readonly category: readonly string[]; readonly type: readonly string[] };
  readonly ocsf: { readonly classUid: number; readonly activityId: number };
  readonly aliases: readonly { readonly name: string; readonly vocabulary: string }[];
};

/** A type with everything it inherits, in the shape of the generated `EventTypeDefinition`. */
export function completeType(name: string, source: CatalogueSource): CompleteType {
  const type = source.types[name] as TypeSource;
  const family = source.families[familyOf(name)];
  if (!family) throw new Error(`${name}: no family ${familyOf(name)}`);
  return {
    name,
    family: familyOf(name),
    record: type.record ?? family.record,
    category: type.category ?? family.category,
    doc: type.doc,
    origin: type.origin,
    severity: type.severity,
    outcome: type.outcome,
    nullOrganization: type.null_organization,
    topic: type.topic ?? family.topic,
    retention: type.retention ?? family.retention,
    sample: type.sample ?? family.sample,
    payload: { ...type.payload, ...enrichedPayload(name, source) },
    ecs: { category: type.ecs.category, type: type.ecs.type },
    ocsf: { classUid: type.ocsf.class_uid, activityId: type.ocsf.activity_id },
    aliases: type.aliases ?? [],
  };
}

/** Sensitivity of what enrichers add to a type, by payload key. */
function enrichedPayload(name: string, source: CatalogueSource): Readonly<Record<string, Sensitivity>> {
  const fields = Object.entries(source.enriched ?? {}).filter(([, field]) => field.on.includes(name));
  return Object.fromEntries(fields.map(([key, field]) => [key, field.sensitivity]));
}

export function emitEventTypes(source: CatalogueSource, named: ReadonlyMap<string, NamedType>): string {
  const families = Object.keys(source.families);
  const types = Object.keys(source.types);
  const aliases = types.flatMap((name) =>
    (source.types[name]?.aliases ?? []).map((alias) => ({ ...alias, type: name })),
  );
  const vocabularies = [...new Set(aliases.map((alias) => alias.vocabulary))].sort();
  const eventRecords = [...new Set(types.map((name) => completeType(name, source).record))].sort();
  for (const [field, { on }] of Object.entries(source.enriched ?? {})) {
    const unknown = on.find((name) => source.types[name] === undefined);
    if (unknown !== undefined) throw new Error(`enriched field ${field} is on unknown type ${unknown}`);
  }
  for (const record of eventRecords) {
    if (![...named.values()].some((type) => type.name === record))
      throw new Error(`catalogue names unknown record ${record}`);
  }
  return [
    `import type { ${eventRecords.join(', ')}, Outcome, Severity } from './records.ts';`,
    "import type { SourceTopicName } from './topics.ts';",
    '',
    `export type Family = ${families.map(quoted).join(' | ')};`,
    '',
    '/** Canonical event types: a misspelt one does not compile. */',
    `export type EventType =\n${types.map((name) => `  | ${quoted(name)}`).join('\n')};`,
    '',
    '/** Names of other vocabularies that are accepted at intake. */',
    `export type EventTypeAlias = ${aliases.map((alias) => quoted(alias.name)).join(' | ')};`,
    `export type Vocabulary = ${vocabularies.map(quoted).join(' | ')};`,
    `export type RetentionClass = ${Object.keys(source.retention).map(quoted).join(' | ')};`,
    "export type Sensitivity = 'none' | 'low' | 'high';",
    '',
    '/** Record that carries each type. */',
    'export type EventRecordByType = {',
    ...types.map((name) => `  ${quoted(name)}: ${completeType(name, source).record};`),
    '};',
    `export type EventRecordName = ${eventRecords.map(quoted).join(' | ')};`,
    '',
    '/** Everything the catalogue says about one type. */',
    'export type EventTypeDefinition = {',
    '  readonly name: EventType;',
    '  readonly family: Family;',
    '  readonly record: EventRecordName;',
    '  readonly category: string;',
    '  readonly doc: string;',
    "  readonly origin: 'R-102' | 'R-103' | 'R-104' | 'own';",
    '  readonly severity: Severity;',
    '  /** Outcome where the source states none. */',
    '  readonly outcome: Outcome;',
    '  /** May the subject organization be null (R-107)? */',
    '  readonly nullOrganization: boolean;',
    '  readonly topic: SourceTopicName;',
    '  readonly retention: RetentionClass;',
    "  readonly sample: 'never' | 'allowed';",
    '  /** Known payload keys and their sensitivity; any other key counts as high. */',
    '  readonly payload: Readonly<Record<string, Sensitivity>>;',
    '  readonly ecs: { readonly category: readonly string[]; readonly type: readonly string[] };',
    '  readonly ocsf: { readonly classUid: number; readonly activityId: number };',
    '  readonly aliases: readonly { readonly name: EventTypeAlias; readonly vocabulary: Vocabulary }[];',
    '};',
    '',
    'export const EVENT_TYPES: readonly EventTypeDefinition[] = [',
    ...types.map((name) => `  ${JSON.stringify(completeType(name, source))},`),
    '];',
    '',
    'export const FAMILIES: Readonly<Record<Family, { readonly record: EventRecordName; readonly category: string; readonly doc: string }>> = {',
    ...families.map((name) => {
      const family = source.families[name] as FamilySource;
      return `  ${name}: ${JSON.stringify({ record: family.record, category: family.category, doc: family.doc })},`;
    }),
    '};',
    '',
    '/** Sigma level and OCSF severity_id of each severity, with the words accepted for it. */',
    'export const SEVERITIES: Readonly<Record<Severity, { readonly sigma: string | null; readonly ocsf: number; readonly aliases: readonly string[] }>> = {',
    ...Object.entries(source.severities).map(([name, severity]) => `  ${name}: ${JSON.stringify(severity)},`),
    '};',
    '',
    '/** ISO 8601 duration or `forever`. */',
    'export const RETENTION_CLASSES: Readonly<Record<RetentionClass, { readonly duration: string; readonly reason: string }>> = {',
    ...Object.entries(source.retention).map(([name, retention]) => `  ${name}: ${JSON.stringify(retention)},`),
    '};',
    '',
    '/** Sensitivity of the fields every event has, by dotted name without `envelope`. */',
    `export const ENVELOPE_SENSITIVITY: Readonly<Record<string, Sensitivity>> = ${JSON.stringify(source.sensitivity)};`,
    '',
    '/** What enrichers add to the payload, as text that reads as this type; `on` names the types that carry it. */',
    "export type EnrichedField = { readonly type: 'number' | 'boolean' | 'text'; readonly unit: string | null; readonly sensitivity: Sensitivity; readonly on: readonly EventType[]; readonly doc: string };",
    `export const ENRICHED_FIELDS: Readonly<Record<string, EnrichedField>> = ${JSON.stringify(source.enriched ?? {})};`,
    '',
    '/** Sensitivity of the typed fields of each record. */',
    `export const RECORD_SENSITIVITY: Readonly<Partial<Record<EventRecordName, Readonly<Record<string, Sensitivity>>>>> = ${JSON.stringify(source.record_sensitivity ?? {})};`,
    '',
  ].join('\n');
}

function quoted(text: string): string {
  return `'${text}'`;
}
