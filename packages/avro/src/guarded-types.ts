import avro from 'avsc';
import { AvroDecodeError } from './errors.ts';

/**
 * avsc 5.7.9 trusts its input where it must not (all reproduced in `hardening.test.ts`): counts of array and map blocks
 * are believed, a negative block size moves the reader back for ever, a map key `__proto__` vanishes or becomes a
 * prototype, a long of -2^52 - 1 becomes +2^52, an enum accepts `constructor`, a record accepts an undeclared field `toString`, an int may have 64 bits,
 * and lone surrogates are written as invalid UTF-8. The types below replace avsc's own through its type hook. They
 * override `_read`, `_skip`, `_write`, which avsc does not document but does look up on the instance.
 */

/** The reader and writer position avsc hands to its types. */
type Tap = {
  readonly buf: Buffer;
  pos: number;
  readLong(): number;
  readInt(): number;
  skipLong(): void;
  readString(): string;
  skipString(): void;
  writeLong(value: number): void;
  writeString(value: string): void;
};
type InnerType = {
  _read(tap: Tap): unknown;
  _skip(tap: Tap): void;
  _write(tap: Tap, value: unknown): void;
};

/** Far above 512 fields and any evidence list; rule sets have some 3,000 files. */
const ITEMS_MAX = 1_000_000;
const FORBIDDEN_KEY = '__proto__';

function assertInside(tap: Tap): void {
  if (!(tap.pos <= tap.buf.length)) throw new AvroDecodeError('Avro data ends early', 'SEC_AVRO_TRUNCATED');
}

/** Every item takes at least a byte (`assertSafeSchema`; map entries have a key), so a count beyond the rest is a lie. */
function assertCount(tap: Tap, count: number, total: number): void {
  assertInside(tap);
  if (!(count <= tap.buf.length - tap.pos && total + count <= ITEMS_MAX)) {
    throw new AvroDecodeError('collection count exceeds its data', 'SEC_AVRO_LIMIT');
  }
}

function readBlockCount(tap: Tap, total: number): number {
  let count = tap.readLong();
  if (count < 0) {
    count = -count;
    tap.skipLong();
  }
  assertCount(tap, count, total);
  return count;
}

/** Skips a block by its size when it has one; otherwise returns how many items to skip one by one. */
function skipBlock(tap: Tap, total: number): { readonly more: boolean; readonly count: number } {
  const count = tap.readLong();
  if (count === 0) return { more: false, count: 0 };
  if (count > 0) {
    assertCount(tap, count, total);
    return { more: true, count };
  }
  const size = tap.readLong();
  if (!(size >= 0)) throw new AvroDecodeError('negative block size', 'SEC_AVRO_MALFORMED');
  tap.pos += size;
  assertInside(tap);
  return { more: true, count: 0 };
}

class GuardedArrayType extends avro.types.ArrayType {
  // `this` is the type itself or avsc's resolver; both have `itemsType`.
  _read(tap: Tap): unknown[] {
    const items = this.itemsType as unknown as InnerType;
    const values: unknown[] = [];
    for (let count = readBlockCount(tap, 0); count !== 0; count = readBlockCount(tap, values.length)) {
      for (let left = count; left > 0; left -= 1) values.push(items._read(tap));
    }
    return values;
  }

  _skip(tap: Tap): void {
    const items = this.itemsType as unknown as InnerType;
    let total = 0;
    for (let block = skipBlock(tap, 0); block.more; block = skipBlock(tap, total)) {
      for (let left = block.count; left > 0; left -= 1) items._skip(tap);
      total += block.count;
    }
  }
}

/** avsc's own checks, which its type declarations leave out. */
type Checking = { _check(value: unknown, flags: unknown, hook: Hook, path: unknown): boolean };
type Hook = ((value: unknown, type: unknown) => void) | undefined;
const MAP_CHECK = (avro.types.MapType.prototype as unknown as Checking)._check;

class GuardedMapType extends avro.types.MapType {
  _check(value: unknown, flags: unknown, hook: Hook, path: unknown): boolean {
    if (typeof value === 'object' && value !== null && Object.hasOwn(value, FORBIDDEN_KEY)) {
      hook?.(value, this);
      return false;
    }
    return MAP_CHECK.call(this, value, flags, hook, path);
  }

  _read(tap: Tap): Record<string, unknown> {
    const values = this.valuesType as InnerType;
    const map = Object.create(null) as Record<string, unknown>;
    let total = 0;
    for (let count = readBlockCount(tap, 0); count !== 0; count = readBlockCount(tap, total)) {
      for (let left = count; left > 0; left -= 1) {
        const key = tap.readString();
        if (key === FORBIDDEN_KEY) throw new AvroDecodeError('forbidden map key', 'SEC_AVRO_MAP_KEY');
        map[key] = values._read(tap);
      }
      total += count;
    }
    return map;
  }

  _skip(tap: Tap): void {
    const values = this.valuesType as InnerType;
    let total = 0;
    for (let block = skipBlock(tap, 0); block.more; block = skipBlock(tap, total)) {
      for (let left = block.count; left > 0; left -= 1) {
        tap.skipString();
        values._skip(tap);
      }
      total += block.count;
    }
  }

  /** Keys in UTF-8 byte order, so that equal maps have equal bytes in every language. */
  _write(tap: Tap, value: Readonly<Record<string, unknown>>): void {
    const values = this.valuesType as InnerType;
    const keys = Object.keys(value);
    if (keys.length > 0) {
      tap.writeLong(keys.length);
      for (const key of sortedByBytes(keys)) {
        tap.writeString(key.toWellFormed());
        values._write(tap, value[key]);
      }
    }
    tap.writeLong(0);
  }
}

// UTF-16 order differs from UTF-8 order only where surrogates meet U+E000 to U+FFFF.
const SURROGATE = /[\ud800-\udfff]/;

function sortedByBytes(keys: string[]): string[] {
  if (keys.length < 2) return keys;
  if (!keys.some((key) => SURROGATE.test(key))) return keys.sort();
  return keys.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

class GuardedStringType extends avro.types.StringType {
  /** A lone surrogate has no UTF-8 form; it becomes U+FFFD as in every other encoder. */
  _write(tap: Tap, value: string): void {
    tap.writeString(value.toWellFormed());
  }
}

class GuardedIntType extends avro.types.IntType {
  _read(tap: Tap): number {
    const value = tap.readInt();
    if ((value | 0) !== value) throw new AvroDecodeError('int exceeds 32 bits', 'SEC_AVRO_MALFORMED');
    return value;
  }
}

/** Smallest long avsc writes right: below it, zigzag leaves the doubles that are exact. */
export const LONG_MIN: number = -(2 ** 52);
/** Largest long avsc takes: one less than the safe integers, because of its rounding. */
export const LONG_MAX: number = Number.MAX_SAFE_INTEGER - 1;

class GuardedLongType extends avro.types.LongType {
  _check(value: unknown, _flags: unknown, hook: Hook): boolean {
    const fits = Number.isInteger(value) && (value as number) >= LONG_MIN && (value as number) <= LONG_MAX;
    if (!fits) hook?.(value, this);
    return fits;
  }

  /** avsc reads -2^52 - 1 as +2^52: the sign is the lowest bit, which its sum of doubles rounds away. */
  _read(tap: Tap): number {
    const isNegative = ((tap.buf[tap.pos] ?? 0) & 1) === 1;
    const value = tap.readLong();
    if (!(value >= LONG_MIN && value <= LONG_MAX && value < 0 === isNegative)) {
      throw new AvroDecodeError('long exceeds the exact integers', 'SEC_AVRO_MALFORMED');
    }
    return value;
  }
}

const LONG: avro.Type = new GuardedLongType();
const STRING: avro.Type = new GuardedStringType();
const INT: avro.Type = new GuardedIntType();

type CheckerFactory = { _createChecker(): Checking['_check']; readonly _fieldsByName: object };
const CREATE_CHECKER = (avro.types.RecordType.prototype as unknown as CheckerFactory)._createChecker;

class GuardedRecordType extends avro.types.RecordType {
  /** Called by avsc's constructor. An array or buffer is no record, even when all fields have defaults. */
  _createChecker(): Checking['_check'] {
    const inner = CREATE_CHECKER.call(this as unknown as CheckerFactory);
    return function check(this: Checking, value, flags, hook, path) {
      if (Array.isArray(value) || Buffer.isBuffer(value)) {
        hook?.(value, this);
        return false;
      }
      return inner.call(this, value, flags, hook, path);
    };
  }
}

/** Look-up tables of avsc are plain objects: without a prototype `constructor` is an unknown name like any other. */
function withoutPrototype(type: avro.Type, table: '_indices' | '_fieldsByName'): avro.Type {
  const owner = type as unknown as Readonly<Record<typeof table, object | undefined>>;
  const names = owner[table];
  if (names === undefined) throw new TypeError('avsc has changed its look-up tables');
  Object.setPrototypeOf(names, null);
  return type;
}

function guard(schema: unknown, options: unknown): avro.Type | undefined {
  const kind = typeof schema === 'object' && schema !== null ? (schema as { type?: unknown }).type : schema;
  const definition = schema as avro.Schema;
  switch (kind) {
    case 'string':
      return STRING;
    case 'int':
      return INT;
    case 'long':
      return LONG;
    case 'array':
      return new GuardedArrayType(definition, options);
    case 'map':
      return new GuardedMapType(definition, options);
    case 'enum':
      return withoutPrototype(new avro.types.EnumType(definition, options), '_indices');
    case 'record':
      return withoutPrototype(new GuardedRecordType(definition, options), '_fieldsByName');
    default:
      return undefined;
  }
}

/** Builds an avsc type with the guards above. `schema` must have passed `assertSafeSchema`. */
export function guardedType(schema: unknown): avro.Type {
  return avro.Type.forSchema(
    schema as avro.Schema,
    {
      typeHook: guard as (schema: avro.Schema, options: unknown) => avro.Type | undefined,
      wrapUnions: false,
      omitRecordMethods: true,
    } as Parameters<typeof avro.Type.forSchema>[1],
  );
}
