import { RECORD_NAMES, RECORD_SCHEMAS, type RecordName, TracehoundError } from '@tracehound/event-model';
import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { arbitraryValue } from '../test/arbitrary-value.ts';
import { type AvroCodec, createAvroCodec, createMemoryRegistry, registerRecords } from './index.ts';
import { findValueIssues } from './value-check.ts';

let codec: AvroCodec;
/** Far above what 64 kB of honest data takes; far below what a bomb would. */
const DECODE_MS_MAX = 200;
const RUNS = Number(process.env['TRACEHOUND_FUZZ_RUNS'] ?? 60);

beforeAll(async () => {
  const registry = createMemoryRegistry();
  await registerRecords(registry);
  codec = createAvroCodec({ registry });
  await codec.prepare(RECORD_NAMES);
});

/** A value with every left-out default filled in, as a reader must see it. */
function completed(schema: unknown, value: unknown, named: Map<string, unknown> = new Map()): unknown {
  if (Array.isArray(schema)) {
    for (const branch of schema) remember(branch, named);
    return value === null
      ? null
      : completed(
          schema.find((branch) => branch !== 'null'),
          value,
          named,
        );
  }
  if (typeof schema === 'string') return named.has(schema) ? completed(named.get(schema), value, named) : value;
  remember(schema, named);
  const part = schema as Record<string, unknown>;
  if (part['type'] === 'array') return (value as unknown[]).map((item) => completed(part['items'], item, named));
  if (part['type'] !== 'record') return value;
  const fields = part['fields'] as { name: string; type: unknown; default?: unknown }[];
  return Object.fromEntries(
    fields.map((field) => {
      const given = (value as Record<string, unknown>)[field.name];
      return [field.name, completed(field.type, given === undefined ? field.default : given, named)];
    }),
  );
}

function remember(schema: unknown, named: Map<string, unknown>): void {
  if (typeof schema !== 'object' || schema === null) return;
  const part = schema as Record<string, unknown>;
  if (typeof part['name'] === 'string') named.set(`${String(part['namespace'])}.${part['name']}`, schema);
  const fields = part['fields'];
  if (Array.isArray(fields)) for (const field of fields) walk((field as { type: unknown }).type, named);
}

function walk(type: unknown, named: Map<string, unknown>): void {
  if (Array.isArray(type)) for (const branch of type) remember(branch, named);
  else if (typeof type === 'object' && type !== null && 'items' in type) remember(type.items, named);
  else remember(type, named);
}

function plain(value: unknown): unknown {
  if (Buffer.isBuffer(value) || typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(plain);
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]));
}

test.each(RECORD_NAMES)('%s: random values come back whole', async (name) => {
  await fc.assert(
    fc.asyncProperty(arbitraryValue(RECORD_SCHEMAS[name]), async (value) => {
      expect(codec.validate(name, value)).toEqual([]);
      const decoded = await codec.decode(codec.encode(name, value as never));
      expect(decoded.name).toBe(name);
      expect(plain(decoded.value)).toEqual(completed(RECORD_SCHEMAS[name], value));
    }),
    { numRuns: RUNS },
  );
});

async function outcome(bytes: Buffer): Promise<void> {
  // CPU time: on a busy machine a process may have to wait longer than that.
  const before = process.cpuUsage();
  try {
    await codec.decode(bytes);
  } catch (error) {
    expect(error).toBeInstanceOf(TracehoundError);
    expect((error as TracehoundError).code).toMatch(/^SEC_AVRO_/);
  }
  const { user, system } = process.cpuUsage(before);
  expect((user + system) / 1_000).toBeLessThan(DECODE_MS_MAX);
}

function framed(name: RecordName, body: Uint8Array): Buffer {
  const frame = Buffer.alloc(5 + body.length);
  frame.writeUInt32BE(codec.schemaId(name) ?? 0, 1);
  frame.set(body, 5);
  return frame;
}

test('random bytes under any schema never crash and never take long', async () => {
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...RECORD_NAMES), fc.uint8Array({ maxLength: 2_000 }), async (name, body) => {
      await outcome(framed(name, body));
    }),
    { numRuns: RUNS * 20 },
  );
});

test('long runs of one byte never take long', async () => {
  for (const name of RECORD_NAMES) {
    for (const byte of [0x00, 0x01, 0x02, 0x7f, 0x80, 0xff]) await outcome(framed(name, Buffer.alloc(65_536, byte)));
  }
});

test('truncated and bit-flipped data never crash and never take long', async () => {
  const mutated = fc
    .constantFrom(...RECORD_NAMES)
    .chain((name) =>
      fc.tuple(
        fc.constant(name),
        arbitraryValue(RECORD_SCHEMAS[name]),
        fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 7 })), { maxLength: 4 }),
        fc.option(fc.nat()),
      ),
    );
  await fc.assert(
    fc.asyncProperty(mutated, async ([name, value, flips, cut]) => {
      const buffer = codec.encode(name, value as never);
      for (const [at, bit] of flips) {
        const position = at % buffer.length;
        buffer[position] = (buffer[position] ?? 0) ^ (1 << bit);
      }
      await outcome(cut === null ? buffer : buffer.subarray(0, cut % (buffer.length + 1)));
    }),
    { numRuns: RUNS * 10 },
  );
});

/** Replaces one randomly chosen leaf or adds a field: mostly no longer valid, but not always. */
function spoiled(value: unknown, choices: readonly number[], junk: unknown): unknown {
  const [choice = 0, ...rest] = choices;
  if (typeof value !== 'object' || value === null || Buffer.isBuffer(value) || rest.length === 0) return junk;
  const keys = Object.keys(value);
  if (keys.length === 0 || choice % 7 === 0) return Array.isArray(value) ? [...value, junk] : { ...value, added: junk };
  const key = keys[choice % keys.length] as string;
  const inner = spoiled((value as Record<string, unknown>)[key], rest, junk);
  return Array.isArray(value) ? value.with(Number(key), inner) : { ...value, [key]: inner };
}

test('the fast check and the walk that names positions agree on any value', () => {
  const cases = fc
    .constantFrom(...RECORD_NAMES)
    .chain((name) =>
      fc.tuple(
        fc.constant(name),
        arbitraryValue(RECORD_SCHEMAS[name]),
        fc.array(fc.nat(), { minLength: 1, maxLength: 6 }),
        fc.oneof(
          fc.anything(),
          fc.constantFrom('LOW', 'constructor', 2 ** 31, 2 ** 53, -0, Number.NaN, [], {}, { toString: [] }),
        ),
      ),
    );
  fc.assert(
    fc.property(cases, ([name, value, choices, junk]) => {
      const bad = spoiled(value, choices, junk);
      const issues = findValueIssues(RECORD_SCHEMAS[name], bad);
      expect(codec.validate(name, bad)).toEqual(issues);
      if (issues.length === 0) codec.encode(name, bad as never);
      else expect(() => codec.encode(name, bad as never)).toThrow(expect.objectContaining({ code: 'SEC_AVRO_VALUE' }));
    }),
    { numRuns: RUNS * 10 },
  );
});
