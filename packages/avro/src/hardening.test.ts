import { RECORD } from '@tracehound/event-model';
import { beforeAll, describe, expect, test } from 'vitest';
import { login } from '../test/sample-events.ts';
import { guardedType } from './guarded-types.ts';
import {
  type AvroCodec,
  createAvroCodec,
  createMemoryRegistry,
  registerRecords,
  type SchemaRegistry,
} from './index.ts';
import { assertSafeSchema, parseSafeSchema } from './schema-safety.ts';

let registry: SchemaRegistry;
let codec: AvroCodec;

beforeAll(async () => {
  registry = createMemoryRegistry();
  await registerRecords(registry);
  codec = createAvroCodec({ registry });
  await codec.prepare([RECORD.AuthenticationEvent, RECORD.DeadLetter]);
  await codec.decode(codec.encode(RECORD.AuthenticationEvent, login()));
});

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    return (error as { code?: string }).code ?? `not ours: ${String(error)}`;
  }
  return 'no error';
}

/** Avro long as bytes; bigint so that lies beyond 2^53 can be told. */
function long(value: bigint): Buffer {
  let left = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n));
  const bytes: number[] = [];
  do {
    bytes.push(Number(left & 0x7fn) | (left > 0x7fn ? 0x80 : 0));
    left >>= 7n;
  } while (left > 0n);
  return Buffer.from(bytes);
}

const decodeMap = (bytes: Buffer): unknown => guardedType({ type: 'map', values: 'string' }).fromBuffer(bytes);
const decodeArray = (bytes: Buffer): unknown => guardedType({ type: 'array', items: 'string' }).fromBuffer(bytes);

describe('frames', () => {
  test.each([
    ['nothing', Buffer.alloc(0), 'SEC_AVRO_FRAME'],
    ['half a frame', Buffer.from([0, 0, 0]), 'SEC_AVRO_FRAME'],
    ['another magic byte', Buffer.from([1, 0, 0, 0, 1, 0]), 'SEC_AVRO_FRAME'],
  ])('%s', (_name, buffer, code) => {
    expect(codeOf(() => codec.decode(buffer))).toBe(code);
  });

  test('truncated at every length, and with bytes after the end', () => {
    const buffer = codec.encode(RECORD.AuthenticationEvent, login({ tags: { a: 'b' }, flags: ['x'] }));
    for (let length = 5; length < buffer.length; length += 1) {
      expect(codeOf(() => codec.decode(buffer.subarray(0, length)))).toMatch(/^SEC_AVRO_(TRUNCATED|LIMIT|MALFORMED)$/);
    }
    expect(codeOf(() => codec.decode(Buffer.concat([buffer, Buffer.from([0])])))).toBe('SEC_AVRO_TRAILING');
  });

  test('a datum inside a larger buffer is read within its own bounds', () => {
    const buffer = codec.encode(RECORD.AuthenticationEvent, login());
    const larger = Buffer.concat([Buffer.from('before'), buffer, Buffer.from('after')]);
    const slice = larger.subarray(6, 6 + buffer.length);
    expect(codec.decode(slice)).toMatchObject({ name: RECORD.AuthenticationEvent });
    expect(codeOf(() => codec.decode(slice.subarray(0, buffer.length - 1)))).toMatch(/^SEC_AVRO_(TRUNCATED|LIMIT)$/);
  });
});

describe('map keys', () => {
  const evil = Buffer.concat([long(1n), long(9n), Buffer.from('__proto__'), long(1n), Buffer.from('x'), long(0n)]);

  test('__proto__ from the wire is refused, not swallowed', () => {
    expect(codeOf(() => decodeMap(evil))).toBe('SEC_AVRO_MAP_KEY');
  });

  test('__proto__ from JSON is refused at encode, with its place', () => {
    const tags = JSON.parse('{"__proto__":"x","ok":"y"}') as Record<string, string>;
    expect(codec.validate(RECORD.AuthenticationEvent, login({ tags }))).toEqual([
      { path: 'envelope.tags.*', expected: 'another key', got: 'forbidden key' },
    ]);
    expect(codeOf(() => codec.encode(RECORD.AuthenticationEvent, login({ tags })))).toBe('SEC_AVRO_VALUE');
  });

  test('decoded maps have no prototype, so `constructor` and `toString` are keys like any other', async () => {
    const tags = { constructor: 'a', toString: 'b', hasOwnProperty: 'c' } as unknown as Record<string, string>;
    const decoded = await codec.decode(codec.encode(RECORD.AuthenticationEvent, login({ tags })));
    if (decoded.name !== RECORD.AuthenticationEvent) throw new Error('another record');
    expect(Object.getPrototypeOf(decoded.value.envelope.tags)).toBeNull();
    expect({ ...decoded.value.envelope.tags }).toEqual({ ...tags });
    expect(Object.getPrototypeOf(decoded.value.envelope.metadata)).toBeNull();
  });
});

describe('names of Object.prototype', () => {
  test.each(['constructor', 'toString', '__proto__', 'valueOf'])(
    '%s is no enum symbol and no declared field',
    (name) => {
      const severity = name as 'LOW';
      expect(codec.validate(RECORD.AuthenticationEvent, login({ severity }))).toHaveLength(1);
      const undeclared: unknown = JSON.parse(`{"${name}":1}`);
      const value = Object.defineProperties(login(), Object.getOwnPropertyDescriptors(undeclared));
      expect(codec.validate(RECORD.AuthenticationEvent, value)).toMatchObject([{ got: 'undeclared' }]);
    },
  );

  test('an array or a buffer is no record, even where every field has a default', () => {
    for (const error of [[], Buffer.alloc(0)]) {
      expect(codec.validate(RECORD.AuthenticationEvent, login({ error: error as never }))).toHaveLength(1);
    }
  });
});

describe('collections that lie about their size', () => {
  test.each([
    ['more items than bytes', long(1_000_000n)],
    ['2^31 items', long(2n ** 31n)],
    ['2^53 items', long(2n ** 53n)],
    ['2^62 items', long(2n ** 62n)],
    ['a negative count without its items', Buffer.concat([long(-(2n ** 40n)), long(8n)])],
    ['a count of 300 continuation bytes', Buffer.alloc(300, 0x80)],
  ])('%s', (_name, bytes) => {
    const startedAt = performance.now();
    expect(codeOf(() => decodeArray(bytes))).toMatch(/^SEC_AVRO_(LIMIT|TRUNCATED)$/);
    expect(codeOf(() => decodeMap(bytes))).toMatch(/^SEC_AVRO_(LIMIT|TRUNCATED)$/);
    expect(performance.now() - startedAt).toBeLessThan(100);
  });

  test('blocks written with sizes are read as others are', () => {
    const item = Buffer.concat([long(1n), Buffer.from('x')]);
    const bytes = Buffer.concat([long(-1n), long(2n), item, long(1n), item, long(0n)]);
    expect(decodeArray(bytes)).toEqual(['x', 'x']);
  });

  test('skipping does not go backwards: a negative block size ends, within time', () => {
    const writer = guardedType({
      type: 'record',
      name: 'R',
      fields: [
        { name: 'gone', type: { type: 'array', items: 'string' } },
        { name: 'lost', type: { type: 'map', values: 'string' } },
        { name: 'kept', type: 'string' },
      ],
    });
    const reader = guardedType({ type: 'record', name: 'R', fields: [{ name: 'kept', type: 'string' }] });
    const resolver = reader.createResolver(writer);
    const honest = writer.toBuffer({ gone: ['a', 'b'], lost: { a: 'b' }, kept: 'k' });
    expect(reader.fromBuffer(honest, resolver)).toMatchObject({ kept: 'k' });
    const backwards = Buffer.concat([long(-1n), long(-2n), Buffer.alloc(20)]);
    expect(codeOf(() => reader.fromBuffer(backwards, resolver))).toBe('SEC_AVRO_MALFORMED');
    expect(codeOf(() => reader.fromBuffer(Buffer.concat([long(0n), backwards]), resolver))).toBe('SEC_AVRO_MALFORMED');
    expect(codeOf(() => reader.fromBuffer(long(2n ** 40n), resolver))).toMatch(/^SEC_AVRO_(LIMIT|TRUNCATED)$/);
    expect(codeOf(() => reader.fromBuffer(Buffer.concat([long(-1n), long(2n ** 40n)]), resolver))).toBe(
      'SEC_AVRO_TRUNCATED',
    );
  });
});

describe('numbers', () => {
  test('longs beyond 2^53 are refused both ways', () => {
    const type = guardedType({ type: 'record', name: 'L', fields: [{ name: 'at', type: 'long' }] });
    expect(() => type.fromBuffer(long(2n ** 60n))).toThrow();
    const original = {
      original_topic: 't',
      partition: 0,
      service: 's',
      stage: 's',
      reason: 'r',
      detail: '',
      failed_at: 0,
    };
    for (const offset of [2 ** 53, Number.NaN, Number.POSITIVE_INFINITY, 0.5]) {
      expect(codec.validate(RECORD.DeadLetter, { ...original, offset })).toMatchObject([
        { path: 'offset', expected: 'long' },
      ]);
    }
    expect(codec.validate(RECORD.DeadLetter, { ...original, offset: 2 ** 53 - 2 })).toEqual([]);
  });

  test('longs are exact to the last one that is allowed, and refused from the next', () => {
    const type = guardedType({ type: 'record', name: 'L', fields: [{ name: 'at', type: 'long' }] });
    for (const at of [2 ** 53 - 2, 2 ** 52 + 1, 2 ** 52, 0, -1, -(2 ** 52) + 1, -(2 ** 52)]) {
      expect(type.fromBuffer(type.toBuffer({ at }))).toMatchObject({ at });
      expect(type.fromBuffer(long(BigInt(at)))).toMatchObject({ at });
    }
    expect(type.isValid({ at: -(2 ** 52) - 1 })).toBe(false);
    // avsc alone reads the first of these as +2^52.
    for (const at of [-(2n ** 52n) - 1n, -(2n ** 53n), -(2n ** 63n), 2n ** 53n - 1n, 2n ** 63n - 1n]) {
      expect(codeOf(() => type.fromBuffer(long(at)))).toBe('SEC_AVRO_MALFORMED');
    }
  });

  test('the largest alert revision is exact (X10.13)', () => {
    const type = guardedType('long');
    const revision = 4 * 2_000_000_000_000_000 + 3;
    expect(type.fromBuffer(type.toBuffer(revision))).toBe(revision);
  });

  test('an int with more than 32 bits is malformed', () => {
    const type = guardedType({ type: 'record', name: 'I', fields: [{ name: 'step', type: 'int' }] });
    expect(type.fromBuffer(long(-(2n ** 31n)))).toMatchObject({ step: -(2 ** 31) });
    expect(codeOf(() => type.fromBuffer(long(2n ** 31n)))).toBe('SEC_AVRO_MALFORMED');
  });
});

test('a lone surrogate becomes U+FFFD, in values and in keys', async () => {
  const tags = { 'a\ud800': 'b\udfff' };
  const decoded = await codec.decode(
    codec.encode(RECORD.AuthenticationEvent, login({ tags, session_id: '\ud83d\ude00' })),
  );
  expect(decoded.value).toMatchObject({ envelope: { tags: { 'a\ufffd': 'b\ufffd' }, session_id: '\ud83d\ude00' } });
});

describe('schemas that must not be loaded', () => {
  const field = (type: unknown) => ({ type: 'record', name: 'R', fields: [{ name: 'f', type }] });
  test.each([
    ['array of null', field({ type: 'array', items: 'null' })],
    ['array of an empty record', field({ type: 'array', items: { type: 'record', name: 'E', fields: [] } })],
    [
      'array of records of null',
      field({ type: 'array', items: { type: 'record', name: 'E', fields: [{ name: 'n', type: 'null' }] } }),
    ],
    ['array of a fixed of no bytes', field({ type: 'array', items: { type: 'fixed', name: 'F', size: 0 } })],
    ['recursion through a union', field(['null', 'R'])],
    ['recursion through an array', field({ type: 'array', items: 'R' })],
    ['recursion through a map and a namespace', { ...field({ type: 'map', values: 'n.R' }), namespace: 'n' }],
    ['an unknown name', field('Nobody')],
    ['a number', 5],
    ['a record without fields', { type: 'record', name: 'R' }],
  ])('%s', (_name, schema) => {
    expect(codeOf(() => assertSafeSchema(schema))).toBe('SEC_AVRO_UNSAFE_SCHEMA');
  });

  test('too deep, too large, or no JSON', () => {
    let deep: unknown = 'string';
    for (let depth = 0; depth < 10_000; depth += 1) deep = { type: 'array', items: deep };
    expect(codeOf(() => assertSafeSchema(deep))).toBe('SEC_AVRO_UNSAFE_SCHEMA');
    expect(codeOf(() => parseSafeSchema(' '.repeat(2_000_000)))).toBe('SEC_AVRO_UNSAFE_SCHEMA');
    expect(codeOf(() => parseSafeSchema('{'))).toBe('SEC_AVRO_UNSAFE_SCHEMA');
  });

  test('one named type used twice is no recursion', () => {
    const shared = { type: 'record', name: 'S', fields: [{ name: 'x', type: 'string' }] };
    const schema = {
      type: 'record',
      name: 'R',
      fields: [
        { name: 'a', type: shared },
        { name: 'b', type: ['null', 'S'] },
      ],
    };
    expect(codeOf(() => assertSafeSchema(schema))).toBe('no error');
  });
});
