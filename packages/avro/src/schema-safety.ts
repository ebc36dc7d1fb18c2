import { AvroUnsafeSchemaError } from './errors.ts';

/** Our largest bundled schema has 15 kB; a hundred times that is no honest schema. */
const SCHEMA_CHARS_MAX = 1_500_000;
/** Our deepest path (record, union, record, array, record) has 8 levels. */
const DEPTH_MAX = 32;

/**
 * Parses a schema text that came from outside, refusing what would let a few bytes of data cost much: recursive types
 * (stack), array and map items that take no bytes (5 bytes gave 8,388,608 items), extreme size or depth.
 */
export function parseSafeSchema(text: string): unknown {
  if (text.length > SCHEMA_CHARS_MAX) throw new AvroUnsafeSchemaError('schema too large');
  let schema: unknown;
  try {
    schema = JSON.parse(text);
  } catch {
    throw new AvroUnsafeSchemaError('schema is not JSON');
  }
  assertSafeSchema(schema);
  return schema;
}

/** Throws `AvroUnsafeSchemaError` for a parsed schema that must not be loaded. */
export function assertSafeSchema(schema: unknown): void {
  const sizes = new Map<string, number>();
  minimalBytes(schema, '', { sizes, open: new Set(), depth: 0 });
}

type Walk = { readonly sizes: Map<string, number>; readonly open: Set<string>; readonly depth: number };
const FIXED_SIZES: ReadonlyMap<string, number> = new Map([
  ['null', 0],
  ['boolean', 1],
  ['int', 1],
  ['long', 1],
  ['float', 4],
  ['double', 8],
  ['bytes', 1],
  ['string', 1],
]);

/** Fewest bytes a value of this schema can take. */
function minimalBytes(schema: unknown, namespace: string, walk: Walk): number {
  if (walk.depth > DEPTH_MAX) throw new AvroUnsafeSchemaError('schema too deep');
  const inner = { ...walk, depth: walk.depth + 1 };
  if (typeof schema === 'string') return referencedBytes(schema, namespace, walk);
  if (Array.isArray(schema)) {
    for (const branch of schema) minimalBytes(branch, namespace, inner);
    return 1;
  }
  if (typeof schema !== 'object' || schema === null) throw new AvroUnsafeSchemaError('schema has a strange part');
  const part = schema as Readonly<Record<string, unknown>>;
  switch (part['type']) {
    case 'record':
    case 'error':
      return recordBytes(part, namespace, inner);
    case 'enum':
      walk.sizes.set(qualified(part, namespace), 1);
      return 1;
    case 'fixed': {
      const size = Number(part['size']);
      walk.sizes.set(qualified(part, namespace), size);
      return size;
    }
    case 'array':
      assertItems(minimalBytes(part['items'], namespace, inner));
      return 1;
    case 'map':
      // A map entry has its key, so it always takes a byte.
      minimalBytes(part['values'], namespace, inner);
      return 1;
    default:
      return minimalBytes(part['type'], namespace, inner);
  }
}

function recordBytes(part: Readonly<Record<string, unknown>>, namespace: string, walk: Walk): number {
  const name = qualified(part, namespace);
  const ownNamespace = name.includes('.') ? name.slice(0, name.lastIndexOf('.')) : '';
  const fields = part['fields'];
  if (!Array.isArray(fields)) throw new AvroUnsafeSchemaError('record without fields');
  walk.open.add(name);
  let size = 0;
  for (const field of fields) {
    size += minimalBytes((field as { type?: unknown } | null)?.type, ownNamespace, walk);
  }
  walk.open.delete(name);
  walk.sizes.set(name, size);
  return size;
}

function referencedBytes(name: string, namespace: string, walk: Walk): number {
  const fixed = FIXED_SIZES.get(name);
  if (fixed !== undefined) return fixed;
  const fullName = name.includes('.') || namespace === '' ? name : `${namespace}.${name}`;
  if (walk.open.has(fullName)) throw new AvroUnsafeSchemaError('recursive type');
  const size = walk.sizes.get(fullName);
  if (size === undefined) throw new AvroUnsafeSchemaError('unknown type name');
  return size;
}

function assertItems(bytes: number): void {
  if (!(bytes >= 1)) throw new AvroUnsafeSchemaError('array items without bytes');
}

function qualified(part: Readonly<Record<string, unknown>>, namespace: string): string {
  const name = String(part['name']);
  if (name.includes('.')) return name;
  const own = typeof part['namespace'] === 'string' ? part['namespace'] : namespace;
  return own === '' ? name : `${own}.${name}`;
}
