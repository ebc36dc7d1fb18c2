import { type AvroField, type AvroSchema, fullNameOf, isUnion, type NamedType, PRIMITIVES } from './avro-source.ts';

const FIELD_NAME = /^[a-z][a-z0-9_]*$/;
const TYPE_NAME = /^[A-Z][A-Za-z0-9]*$/;
/** A name that says time or money must not be a double. */
const EXACT_NAME = /(_at|_time|_ms|_us|watermark|amount|price)$/;

/**
 * What FULL_TRANSITIVE, the generators and hostile input ask of our schemas, in words; empty = fine. Recursion is
 * refused by `bundle`, items without bytes by the codec's `assertSafeSchema`; the tests run all three.
 */
export function lintSchemas(named: ReadonlyMap<string, NamedType>): readonly string[] {
  return [...named.values()].flatMap((type) => (type.type === 'enum' ? lintEnum(type) : lintRecord(type, named)));
}

function lintEnum(type: NamedType): readonly string[] {
  const name = fullNameOf(type);
  return [
    ...lintNamed(type),
    // A reader that meets an unknown symbol needs the type-level default; the field's default does not help it.
    ...(typeof type.default === 'string' && type.symbols?.includes(type.default)
      ? []
      : [`${name}: no type-level default`]),
  ];
}

function lintRecord(type: NamedType, named: ReadonlyMap<string, NamedType>): readonly string[] {
  return [
    ...lintNamed(type),
    ...(type.fields ?? []).flatMap((field) => lintField(`${fullNameOf(type)}.${field.name}`, field, named)),
  ];
}

function lintNamed(type: NamedType): readonly string[] {
  const name = fullNameOf(type);
  return [
    ...(TYPE_NAME.test(type.name) ? [] : [`${name}: name is not PascalCase`]),
    ...(type.doc ? [] : [`${name}: no doc`]),
  ];
}

function lintField(path: string, field: AvroField, named: ReadonlyMap<string, NamedType>): readonly string[] {
  const problems: string[] = [];
  if (!FIELD_NAME.test(field.name)) problems.push(`${path}: name is not snake_case`);
  if (!field.doc) problems.push(`${path}: no doc`);
  if (isUnion(field.type) && field.default !== null) problems.push(`${path}: nullable without default null`);
  if (!isUnion(field.type) && field.default === null) problems.push(`${path}: default null without a null branch`);
  if (EXACT_NAME.test(field.name) && mentions(field.type, 'double')) problems.push(`${path}: time or money as double`);
  return [...problems, ...lintType(path, field.type, named)];
}

function lintType(path: string, schema: AvroSchema, named: ReadonlyMap<string, NamedType>): readonly string[] {
  if (typeof schema === 'string') {
    if (schema === 'float') return [`${path}: float`];
    return PRIMITIVES.has(schema) || named.has(schema) ? [] : [`${path}: unknown type ${schema}`];
  }
  if (isUnion(schema)) {
    if (schema.length !== 2 || schema[0] !== 'null') return [`${path}: union other than ["null", T]`];
    return lintType(path, schema[1] as AvroSchema, named);
  }
  if (schema.items !== undefined) {
    return schema.items === 'null' ? [`${path}: array items without bytes`] : lintType(path, schema.items, named);
  }
  if (schema.values !== undefined) return lintType(path, schema.values, named);
  if (schema.name !== undefined) return [`${path}: named type defined in place; give it a file of its own`];
  return lintType(path, schema.type, named);
}

function mentions(schema: AvroSchema, primitive: string): boolean {
  if (typeof schema === 'string') return schema === primitive;
  if (isUnion(schema)) return schema.some((branch) => mentions(branch, primitive));
  return mentions(schema.items ?? schema.values ?? schema.type, primitive);
}
