import { RECORD, RECORD_SCHEMAS } from '@tracehound/event-model';
import { expect, test } from 'vitest';
import { login } from '../test/sample-events.ts';
import {
  type AvroCodec,
  createAvroCodec,
  createMemoryRegistry,
  registerRecords,
  type SchemaRegistry,
} from './index.ts';

async function prepared(): Promise<{ codec: AvroCodec; registry: SchemaRegistry }> {
  const registry = createMemoryRegistry();
  await registerRecords(registry);
  const codec = createAvroCodec({ registry });
  await codec.prepare([RECORD.AuthenticationEvent, RECORD.MatchBatch, RECORD.ExternalEvent]);
  return { codec, registry };
}

test('a record comes back with its defaults filled in', async () => {
  const { codec } = await prepared();
  const decoded = await codec.decode(codec.encode(RECORD.AuthenticationEvent, login({ tags: { b: '2', a: '1' } })));
  expect(decoded.name).toBe(RECORD.AuthenticationEvent);
  expect(decoded.value).toMatchObject({
    schema_rev: 1,
    envelope: { outcome: 'UNKNOWN', tags: { a: '1', b: '2' }, trace: null, flags: [] },
    payload: {},
    mfa_used: null,
  });
});

test('decoding is synchronous once the schema id is known', async () => {
  const { codec, registry } = await prepared();
  const buffer = codec.encode(RECORD.AuthenticationEvent, login());
  expect(codec.decode(buffer)).not.toBeInstanceOf(Promise);
  const reader = createAvroCodec({ registry });
  expect(reader.decode(buffer)).toBeInstanceOf(Promise);
  await reader.decode(buffer);
  expect(reader.decode(buffer)).not.toBeInstanceOf(Promise);
});

test('equal maps give equal bytes, in UTF-8 order of their keys', async () => {
  const { codec } = await prepared();
  const keys = ['b', 'a', '\u{1f600}', '\uffee', 'ä', 'Z'];
  const tags = Object.fromEntries(keys.map((key) => [key, key]));
  const reversed = Object.fromEntries(keys.toReversed().map((key) => [key, key]));
  const first = codec.encode(RECORD.AuthenticationEvent, login({ tags }));
  expect(codec.encode(RECORD.AuthenticationEvent, login({ tags: reversed })).equals(first)).toBe(true);
  const decoded = await codec.decode(first);
  if (decoded.name !== RECORD.AuthenticationEvent) throw new Error('another record');
  const expected = keys.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  expect(Object.keys(decoded.value.envelope.tags)).toEqual(expected);
  expect(expected).not.toEqual(keys.toSorted());
});

test('what encode returns is not touched by the next call', async () => {
  const { codec } = await prepared();
  const first = codec.encode(RECORD.AuthenticationEvent, login());
  const copy = Buffer.from(first);
  codec.encode(RECORD.AuthenticationEvent, login({ event_id: 'x'.repeat(500) }));
  expect(first.equals(copy)).toBe(true);
});

test.each([60_000, 64 * 1_024 - 5, 70_000, 1_100_000])(
  'a value of %i characters outgrows no buffer',
  async (length) => {
    const { codec } = await prepared();
    const error = { code: null, message: 'ü'.repeat(length) };
    const decoded = await codec.decode(codec.encode(RECORD.AuthenticationEvent, login({ error })));
    expect(decoded.value).toMatchObject({ envelope: { error } });
  },
);

test('the record bound holds on both sides of the scratch buffer', async () => {
  const { registry } = await prepared();
  for (const recordBytesMax of [200, 100_000]) {
    const codec = createAvroCodec({ registry, recordBytesMax });
    await codec.prepare([RECORD.AuthenticationEvent]);
    const session_id = 's'.repeat(recordBytesMax);
    expect(() => codec.encode(RECORD.AuthenticationEvent, login({ session_id }))).toThrow(
      expect.objectContaining({ code: 'SEC_AVRO_TOO_LARGE', category: 'invalid_input' }),
    );
  }
});

test('a record that was not prepared is a programmer error; an unregistered one is not ready', async () => {
  const { codec } = await prepared();
  expect(() => codec.encode(RECORD.RuleSet, { ruleset_id: '', files: [], created_at: 0, principal: '' })).toThrow(
    expect.objectContaining({ code: 'SEC_AVRO_NOT_PREPARED' }),
  );
  const empty = createAvroCodec({ registry: createMemoryRegistry() });
  await expect(empty.prepare([RECORD.RuleSet])).rejects.toMatchObject({
    code: 'SEC_AVRO_SUBJECT_MISSING',
    retriable: true,
  });
});

test('validate names positions and types, never values', async () => {
  const { codec } = await prepared();
  const bad = {
    ...login(),
    envelope: {
      ...login().envelope,
      event_id: 42,
      severity: 'secret-severity',
      event_time: 1.5,
      actor: { type: 'user', name: 'only a name' },
      tags: { ok: 'text', wrong: 7, 'strange key\n': false },
      flags: ['fine', null],
      extra_field: 'secret-extra',
    },
    surprise: { secret: 'secret-surprise' },
  };
  const issues = codec.validate(RECORD.AuthenticationEvent, bad);
  expect(issues).toEqual([
    { path: 'envelope.event_id', expected: 'string', got: 'integer' },
    { path: 'envelope.severity', expected: expect.stringContaining('CRITICAL'), got: 'string' },
    { path: 'envelope.event_time', expected: 'long', got: 'number' },
    { path: 'envelope.actor.id', expected: 'string', got: 'nothing' },
    { path: 'envelope.tags.wrong', expected: 'string', got: 'integer' },
    { path: 'envelope.tags.*', expected: 'string', got: 'boolean' },
    { path: 'envelope.flags[1]', expected: 'string', got: 'null' },
    { path: 'envelope.extra_field', expected: 'no such field', got: 'undeclared' },
    { path: 'surprise', expected: 'no such field', got: 'undeclared' },
  ]);
  expect(JSON.stringify(issues)).not.toContain('secret-');
});

test('encode refuses what validate refuses and says how much is wrong', async () => {
  const { codec } = await prepared();
  const undeclared = { ...login(), surprise: 'secret-surprise' };
  expect(() => codec.encode(RECORD.AuthenticationEvent, undeclared)).toThrow(
    expect.objectContaining({
      code: 'SEC_AVRO_VALUE',
      fields: expect.objectContaining({ issues: 1, path: 'surprise' }),
    }),
  );
});

test('issues are bounded', async () => {
  const { codec } = await prepared();
  const flags = Array.from({ length: 1_000 }, () => 1);
  expect(codec.validate(RECORD.AuthenticationEvent, login({ flags: flags as unknown as string[] }))).toHaveLength(20);
});

/** A writer of another version of the AuthenticationEvent, registered beside ours. */
async function writtenBy(
  registry: SchemaRegistry,
  change: (schema: { fields: { name: string; type: unknown; default?: unknown }[] }) => void,
  value: unknown,
): Promise<Buffer> {
  const schema = structuredClone(RECORD_SCHEMAS[RECORD.AuthenticationEvent]) as unknown as {
    fields: { name: string; type: unknown; default?: unknown }[];
  };
  change(schema);
  const id = await registry.register(RECORD.AuthenticationEvent, JSON.stringify(schema));
  const { guardedType } = await import('./guarded-types.ts');
  const body = guardedType(schema).toBuffer(value);
  const frame = Buffer.alloc(5);
  frame.writeUInt32BE(id, 1);
  return Buffer.concat([frame, body]);
}

test('data of an older writer gets the defaults of fields it does not know', async () => {
  const { codec, registry } = await prepared();
  const buffer = await writtenBy(
    registry,
    (schema) => {
      schema.fields = schema.fields.filter((field) => field.name !== 'device_id');
    },
    { ...login(), method: 'password' },
  );
  expect((await codec.decode(buffer)).value).toMatchObject({ method: 'password', device_id: null });
});

test('data of a newer writer loses only what this reader does not know', async () => {
  const { codec, registry } = await prepared();
  const added = { name: 'novel', type: { type: 'map', values: { type: 'array', items: 'string' } }, default: {} };
  const buffer = await writtenBy(
    registry,
    (schema) => {
      schema.fields.splice(1, 0, added);
    },
    { ...login(), novel: { a: ['x', 'y'], b: [] }, method: 'password' },
  );
  const { value } = await codec.decode(buffer);
  expect(value).toMatchObject({ method: 'password' });
  expect(value).not.toHaveProperty('novel');
});

test('an enum symbol this reader does not know reads as the type-level default', async () => {
  const { codec, registry } = await prepared();
  const buffer = await writtenBy(
    registry,
    (schema) => {
      const text = JSON.stringify(schema.fields).replace('"CRITICAL","FATAL"', '"CRITICAL","FATAL","APOCALYPTIC"');
      schema.fields = JSON.parse(text) as typeof schema.fields;
    },
    login({ severity: 'APOCALYPTIC' as 'FATAL' }),
  );
  expect((await codec.decode(buffer)).value).toMatchObject({ envelope: { severity: 'UNKNOWN' } });
});

test('a projected decoder builds only the asked-for fields, for several records', async () => {
  const { codec, registry } = await prepared();
  const decoder = codec.projectedDecoder(
    [RECORD.AuthenticationEvent, RECORD.ExternalEvent],
    ['envelope.event_id', 'envelope.network.ip_hash', 'envelope.trace'],
  );
  const network = { ip_hash: 'ab', country: 'DE' };
  const trace = { trace_id: '0'.repeat(31).concat('1') };
  const event = login({ network, trace });
  const projected = await decoder.decode(codec.encode(RECORD.AuthenticationEvent, event));
  expect(JSON.parse(JSON.stringify(projected))).toEqual({
    envelope: {
      event_id: login().envelope.event_id,
      network: { ip_hash: 'ab' },
      trace: { ...trace, span_id: null, parent_span_id: null, trust: 'ANONYMOUS' },
    },
  });
  const external = { envelope: login().envelope, log_source: {}, fields: [] };
  expect(await decoder.decode(codec.encode(RECORD.ExternalEvent, external))).toMatchObject({
    envelope: { network: null },
  });
  const older = await writtenBy(
    registry,
    (schema) => {
      schema.fields = schema.fields.filter((field) => field.name !== 'changes');
    },
    event,
  );
  expect(await decoder.decode(older)).toMatchObject({ envelope: { network: { ip_hash: 'ab' } } });
  await expect(
    Promise.resolve(codec.encode(RECORD.MatchBatch, tick())).then((buffer) => decoder.decode(buffer)),
  ).rejects.toMatchObject({ code: 'SEC_AVRO_INCOMPATIBLE' });
});

function tick() {
  return {
    cluster_id: 'local',
    src_topic: 'security.events',
    src_topic_id: 't',
    src_partition: 0,
    from: 0,
    to: 0,
    prev_to: 0,
    watermark: -2_000_000_000_000_000,
    sources_version: 1,
    activation_id: 'a',
    ruleset_id: 'r',
  };
}

test('a projection of a field that does not exist is a programmer error', async () => {
  const { codec } = await prepared();
  expect(() => codec.projectedDecoder([RECORD.AuthenticationEvent], ['envelope.nonsense'])).toThrow(
    expect.objectContaining({ code: 'SEC_CORE_INVARIANT' }),
  );
});

test('watermarks of ended and of silent sources are exact (X4)', async () => {
  const { codec } = await prepared();
  for (const watermark of [2_000_000_000_000_000, -2_000_000_000_000_000]) {
    const decoded = await codec.decode(codec.encode(RECORD.MatchBatch, { ...tick(), watermark, end_of_input: true }));
    expect(decoded.value).toMatchObject({ watermark, end_of_input: true, matches: [] });
  }
});
