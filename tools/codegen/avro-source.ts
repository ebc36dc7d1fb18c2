import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Avro as written in `schemas/avro`: named types are mentioned by full name and defined once. */
export type AvroSchema = string | readonly AvroSchema[] | AvroObject;
export type AvroObject = {
  readonly type: string | AvroObject;
  readonly name?: string;
  readonly namespace?: string;
  readonly doc?: string;
  readonly fields?: readonly AvroField[];
  readonly symbols?: readonly string[];
  readonly items?: AvroSchema;
  readonly values?: AvroSchema;
  readonly default?: unknown;
  readonly logicalType?: string;
};
export type AvroField = {
  readonly name: string;
  readonly type: AvroSchema;
  readonly doc?: string;
  readonly default?: unknown;
};
export type NamedType = AvroObject & {
  readonly type: 'record' | 'enum';
  readonly name: string;
  readonly namespace: string;
};

export const PRIMITIVES: ReadonlySet<string> = new Set(['null', 'boolean', 'int', 'long', 'double', 'bytes', 'string']);

export function fullNameOf(type: { readonly namespace: string; readonly name: string }): string {
  return `${type.namespace}.${type.name}`;
}

/** Reads every `.avsc` below `root`, by full name in alphabetical order. One file defines one named type of the same name. */
export function readNamedTypes(root: string): ReadonlyMap<string, NamedType> {
  const named = new Map<string, NamedType>();
  const simpleNames = new Map<string, string>();
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.avsc'))
    .sort();
  for (const file of files) {
    const type = JSON.parse(readFileSync(join(root, file), 'utf8')) as NamedType;
    const fullName = fullNameOf(type);
    const expected = `${fullName.replaceAll('.', '/')}.avsc`;
    if (file.replaceAll('\\', '/') !== expected)
      throw new Error(`${file} defines ${fullName}; expected file ${expected}`);
    const other = simpleNames.get(type.name);
    if (other) throw new Error(`${fullName} and ${other} would share one TypeScript name`);
    simpleNames.set(type.name, fullName);
    named.set(fullName, type);
  }
  return named;
}

/** Full names mentioned directly by a schema. */
export function referencesOf(schema: AvroSchema): readonly string[] {
  if (typeof schema === 'string') return PRIMITIVES.has(schema) ? [] : [schema];
  if (isUnion(schema)) return schema.flatMap(referencesOf);
  if (schema.fields) return schema.fields.flatMap((field) => referencesOf(field.type));
  if (schema.items !== undefined) return referencesOf(schema.items);
  if (schema.values !== undefined) return referencesOf(schema.values);
  if (schema.type === 'enum') return [];
  return referencesOf(schema.type);
}

export function isUnion(schema: AvroSchema): schema is readonly AvroSchema[] {
  return Array.isArray(schema);
}

/**
 * The self-contained form of one record: named types are defined where they are first used and mentioned by name
 * afterwards, so that no reader needs registry references. Refuses recursion: a record that contains itself would let
 * a few bytes exhaust the stack of a decoder.
 */
export function bundle(fullName: string, named: ReadonlyMap<string, NamedType>): AvroObject {
  const defined = new Set<string>();
  const open: string[] = [];

  function inline(schema: AvroSchema): AvroSchema {
    if (typeof schema === 'string') return PRIMITIVES.has(schema) ? schema : define(schema);
    if (isUnion(schema)) return schema.map(inline);
    if (schema.items !== undefined) return { ...schema, items: inline(schema.items) };
    if (schema.values !== undefined) return { ...schema, values: inline(schema.values) };
    return schema;
  }

  function define(name: string): AvroSchema {
    if (open.includes(name)) throw new Error(`recursive type: ${[...open, name].join(' > ')}`);
    if (defined.has(name)) return name;
    const type = named.get(name);
    if (!type) throw new Error(`unknown type ${name} in ${fullName}`);
    defined.add(name);
    if (!type.fields) return type;
    open.push(name);
    const fields = type.fields.map((field) => ({ ...field, type: inline(field.type) }));
    open.pop();
    return { ...type, fields };
  }

  return define(fullName) as AvroObject;
}
