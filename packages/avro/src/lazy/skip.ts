import { type Cursor, IRREGULAR, readLength } from './cursor.ts';

/**
 * Moves behind a value. False where the bytes are not plainly valid: the whole decoder then decides, so a record is refused, or
 * read, as if nobody had skipped. True promises that the whole decoder takes the value.
 */
export type Skip = (cursor: Cursor) => boolean;

type Part = Readonly<Record<string, unknown>>;
type Field = { readonly name: string; readonly type: unknown };

/** Zigzag numbers so short are exact whatever they hold; millisecond times take six bytes. */
const INT_BYTES = 4;
const LONG_BYTES = 7;
const DOUBLE_BYTES = 8;
/** Length of `__proto__`, a map key that is refused. */
const FORBIDDEN_KEY_BYTES = 9;

/** Builds a skipper of a schema; definitions met on the way are remembered in `named`. */
export function skipOf(schema: unknown, named: Map<string, Part>): Skip {
  if (Array.isArray(schema)) return skipUnion(schema.map((branch) => skipOf(branch, named)));
  if (typeof schema === 'string') {
    const known = named.get(schema);
    return known === undefined ? skipPrimitive(schema) : skipOf(known, named);
  }
  const part = schema as Part;
  if (typeof part['name'] === 'string') named.set(`${String(part['namespace'])}.${part['name']}`, part);
  switch (part['type']) {
    case 'record':
      return skipRecord((part['fields'] as readonly Field[]).map((field) => skipOf(field.type, named)));
    case 'enum':
      return skipIndex((part['symbols'] as readonly string[]).length);
    case 'array':
      return skipItems(skipOf(part['items'], named));
    case 'map':
      return skipItems(skipEntry(skipOf(part['values'], named)));
    default:
      return skipOf(part['type'], named);
  }
}

function skipPrimitive(type: string): Skip {
  switch (type) {
    case 'null':
      return () => true;
    case 'boolean':
      return (cursor) => skipBytes(cursor, 1);
    case 'int':
      return (cursor) => skipNumber(cursor, INT_BYTES);
    case 'long':
      return (cursor) => skipNumber(cursor, LONG_BYTES);
    case 'double':
      return (cursor) => skipBytes(cursor, DOUBLE_BYTES);
    case 'bytes':
    case 'string':
      return skipText;
    default:
      return () => false;
  }
}

/** @see Skip */
export function skipText(cursor: Cursor): boolean {
  const length = readLength(cursor);
  return length !== IRREGULAR && skipBytes(cursor, length);
}

function skipBytes(cursor: Cursor, bytes: number): boolean {
  cursor.pos += bytes;
  return cursor.pos <= cursor.buf.length;
}

function skipNumber(cursor: Cursor, bytesMax: number): boolean {
  const { buf } = cursor;
  for (let left = bytesMax; left > 0; left--) {
    const byte = buf[cursor.pos++];
    if (byte === undefined) return false;
    if (byte < 0x80) return true;
  }
  return false;
}

function skipRecord(fields: readonly Skip[]): Skip {
  return (cursor) => {
    for (let i = 0; i < fields.length; i++) if (!(fields[i] as Skip)(cursor)) return false;
    return true;
  };
}

function skipIndex(count: number): Skip {
  return (cursor) => {
    const index = readLength(cursor);
    return index !== IRREGULAR && index < count;
  };
}

function skipUnion(branches: readonly Skip[]): Skip {
  return (cursor) => {
    const index = readLength(cursor);
    const branch = index === IRREGULAR ? undefined : branches[index];
    return branch !== undefined && branch(cursor);
  };
}

/** Skips an array or map; blocks with a size, which our writers never make, are left to the whole decoder. */
export function skipItems(item: Skip): Skip {
  return (cursor) => {
    for (;;) {
      const count = readLength(cursor);
      if (count === 0) return true;
      if (count === IRREGULAR || count > cursor.buf.length - cursor.pos) return false;
      for (let left = count; left > 0; left--) if (!item(cursor)) return false;
    }
  };
}

function skipEntry(value: Skip): Skip {
  return (cursor) => {
    const length = readLength(cursor);
    if (length === IRREGULAR) return false;
    if (length === FORBIDDEN_KEY_BYTES && cursor.buf[cursor.pos] === UNDERSCORE) return false;
    return skipBytes(cursor, length) && value(cursor);
  };
}
const UNDERSCORE = 0x5f;
