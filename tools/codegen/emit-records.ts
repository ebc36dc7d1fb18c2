import { type AvroSchema, isUnion, type NamedType } from './avro-source.ts';

const PRIMITIVE_TYPES: Readonly<Record<string, string>> = {
  null: 'null',
  boolean: 'boolean',
  int: 'number',
  long: 'number',
  double: 'number',
  bytes: 'Buffer',
  string: 'string',
};

/** TypeScript of every named type: as decoded (all fields present) and as given to an encoder (defaults may be left out). */
export function emitRecords(named: ReadonlyMap<string, NamedType>, subjects: readonly string[]): string {
  const parts = [...named.values()].map((type) =>
    type.type === 'enum' ? emitEnum(type) : `${emitRecord(type, named, false)}\n${emitRecord(type, named, true)}`,
  );
  return [
    ...parts,
    '/** Every record that is the value of a topic, by Avro full name (RecordNameStrategy subject). */',
    'export type RecordByName = {',
    ...subjects.map((name) => `  '${name}': ${simple(name)};`),
    '};',
    '',
    '/** What an encoder takes for each of them. */',
    'export type RecordInputByName = {',
    ...subjects.map((name) => `  '${name}': ${simple(name)}Input;`),
    '};',
    '',
    'export type RecordName = keyof RecordByName;',
    '',
  ].join('\n');
}

function emitEnum(type: NamedType): string {
  const symbols = (type.symbols ?? []).map((symbol) => `'${symbol}'`);
  return [
    `/** ${type.doc} */`,
    `export type ${type.name} = ${symbols.join(' | ')};`,
    '',
    `export const ${constantName(type.name)}_SYMBOLS: readonly ${type.name}[] = [${symbols.join(', ')}];`,
    '',
  ].join('\n');
}

function emitRecord(type: NamedType, named: ReadonlyMap<string, NamedType>, input: boolean): string {
  const doc = input ? `\`${type.name}\` as given to an encoder: fields with a default may be left out.` : type.doc;
  return [
    `/** ${doc} */`,
    `export type ${type.name}${input ? 'Input' : ''} = {`,
    ...(type.fields ?? []).flatMap((field) => [
      ...(input ? [] : [`  /** ${field.doc} */`]),
      `  readonly ${field.name}${input && 'default' in field ? '?' : ''}: ${typeText(field.type, named, input)}${input && 'default' in field ? ' | undefined' : ''};`,
    ]),
    '};',
    '',
  ].join('\n');
}

function typeText(schema: AvroSchema, named: ReadonlyMap<string, NamedType>, input: boolean): string {
  if (typeof schema === 'string') {
    const primitive = PRIMITIVE_TYPES[schema];
    if (primitive) return primitive;
    return `${simple(schema)}${input && named.get(schema)?.type === 'record' ? 'Input' : ''}`;
  }
  if (isUnion(schema)) {
    const branches = schema.filter((branch) => branch !== 'null').map((branch) => typeText(branch, named, input));
    return [...branches, ...(schema.includes('null') ? ['null'] : [])].join(' | ');
  }
  if (schema.items !== undefined) return `readonly ${parenthesised(typeText(schema.items, named, input))}[]`;
  if (schema.values !== undefined) return `Readonly<Record<string, ${typeText(schema.values, named, input)}>>`;
  return typeText(schema.type, named, input);
}

function parenthesised(text: string): string {
  return text.includes('|') ? `(${text})` : text;
}

function simple(fullName: string): string {
  return fullName.slice(fullName.lastIndexOf('.') + 1);
}

export function constantName(name: string): string {
  return name.replaceAll(/(?<=[a-z])(?=[A-Z])/g, '_').toUpperCase();
}

/** Bundled schemas by full name, as constants. */
export function emitSchemas(bundles: ReadonlyMap<string, unknown>): string {
  return [
    "import type { RecordName } from './records.ts';",
    '',
    '/** A self-contained Avro record schema in JSON form. */',
    "export type RecordSchema = { readonly type: 'record'; readonly name: string; readonly namespace: string; readonly doc: string; readonly fields: readonly unknown[] };",
    '',
    '/** Reader schemas of this build, by full name. */',
    'export const RECORD_SCHEMAS: Readonly<Record<RecordName, RecordSchema>> = {',
    ...[...bundles].map(([name, schema]) => `  '${name}': ${JSON.stringify(schema)},`),
    '};',
    '',
    `export const RECORD_NAMES: readonly RecordName[] = [${[...bundles.keys()].map((name) => `'${name}'`).join(', ')}];`,
    '',
    '/** Full name of each record by its short name. */',
    'export const RECORD: {',
    ...[...bundles.keys()].map((name) => `  readonly ${simple(name)}: '${name}';`),
    '} = {',
    ...[...bundles.keys()].map((name) => `  ${simple(name)}: '${name}',`),
    '};',
    '',
  ].join('\n');
}
