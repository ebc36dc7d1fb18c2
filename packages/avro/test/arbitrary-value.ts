import fc from 'fast-check';

type Part = Readonly<Record<string, unknown>>;
type Field = { readonly name: string; readonly type: unknown; readonly default?: unknown };

/** Random values of a bundled schema, hostile words included; fields with defaults are sometimes left out. */
export function arbitraryValue(schema: unknown): fc.Arbitrary<unknown> {
  const named = new Map<string, Part>();

  function from(part: unknown): fc.Arbitrary<unknown> {
    if (Array.isArray(part)) return fc.oneof(...part.map(from));
    if (typeof part === 'string') {
      const known = named.get(part);
      return known ? fromDefinition(known) : primitive(part);
    }
    return fromDefinition(part as Part);
  }

  function fromDefinition(part: Part): fc.Arbitrary<unknown> {
    if (typeof part['name'] === 'string') named.set(`${String(part['namespace'])}.${part['name']}`, part);
    switch (part['type']) {
      case 'record':
        return fromFields(part['fields'] as readonly Field[]);
      case 'enum':
        return fc.constantFrom(...(part['symbols'] as string[]));
      case 'array':
        return fc.array(from(part['items']), { maxLength: 4 });
      case 'map':
        return fc.dictionary(
          text().filter((key) => key !== '__proto__'),
          from(part['values']),
          { maxKeys: 4, noNullPrototype: true },
        );
      default:
        return from(part['type']);
    }
  }

  function fromFields(fields: readonly Field[]): fc.Arbitrary<unknown> {
    const shape = Object.fromEntries(fields.map((field) => [field.name, from(field.type)]));
    const required = fields.filter((field) => field.default === undefined).map((field) => field.name);
    return fc.record(shape, { requiredKeys: required, noNullPrototype: true });
  }

  return from(schema);
}

function primitive(type: string): fc.Arbitrary<unknown> {
  switch (type) {
    case 'null':
      return fc.constant(null);
    case 'boolean':
      return fc.boolean();
    case 'int':
      return fc.integer();
    case 'long':
      return fc.integer({ min: -(2 ** 52), max: 2 ** 53 - 2 });
    case 'double':
      return fc.double({ noNaN: true });
    case 'bytes':
      return fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes));
    case 'string':
      return text();
    default:
      throw new Error(`no arbitrary for ${type}`);
  }
}

function text(): fc.Arbitrary<string> {
  return fc.oneof(
    fc.string({ unit: 'grapheme', maxLength: 100 }),
    fc.constantFrom('', 'constructor', '__proto__', '\u0000', 'ÿ'),
  );
}
