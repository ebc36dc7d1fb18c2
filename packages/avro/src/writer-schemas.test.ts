import { RECORD } from '@tracehound/event-model';
import { expect, test } from 'vitest';
import { login } from '../test/sample-events.ts';
import {
  AvroRegistryUnavailableError,
  createAvroCodec,
  createMemoryRegistry,
  registerRecords,
  type SchemaRegistry,
} from './index.ts';

function counting(registry: SchemaRegistry): SchemaRegistry & { calls: number[]; away: boolean } {
  const calls: number[] = [];
  return {
    ...registry,
    calls,
    away: false,
    async schemaById(id) {
      calls.push(id);
      if (this.away) throw new AvroRegistryUnavailableError('schemaById', 0);
      return registry.schemaById(id);
    },
  };
}

async function setUp(lookupsPerSecondMax = 20) {
  const registry = counting(createMemoryRegistry());
  await registerRecords(registry);
  const clock = { ms: 1_000 };
  const writer = createAvroCodec({ registry });
  await writer.prepare([RECORD.AuthenticationEvent]);
  // The reader has prepared nothing: every id is news to it.
  const codec = createAvroCodec({ registry, now: () => clock.ms, negativeTtlMs: 60_000, lookupsPerSecondMax });
  return { registry, clock, codec, buffer: writer.encode(RECORD.AuthenticationEvent, login()) };
}

function framed(id: number): Buffer {
  const buffer = Buffer.alloc(5);
  buffer.writeUInt32BE(id, 1);
  return buffer;
}

test('an id is asked for once, also by concurrent askers', async () => {
  const { registry, codec, buffer } = await setUp();
  await Promise.all([codec.decode(buffer), codec.decode(buffer), codec.decode(buffer)]);
  await codec.decode(buffer);
  expect(registry.calls).toHaveLength(1);
});

test('what was prepared is read without asking, also while the registry is away', async () => {
  const { registry, codec, buffer } = await setUp();
  await codec.prepare([RECORD.AuthenticationEvent]);
  registry.away = true;
  expect(codec.decode(buffer)).toMatchObject({ name: RECORD.AuthenticationEvent });
  expect(registry.calls).toHaveLength(0);
});

test('registry-down: retriable, asked again, and fine when it is back', async () => {
  const { registry, codec, buffer } = await setUp();
  registry.away = true;
  await expect(codec.decode(buffer)).rejects.toMatchObject({ code: 'SEC_AVRO_REGISTRY_UNAVAILABLE', retriable: true });
  registry.away = false;
  await expect(codec.decode(buffer)).resolves.toMatchObject({ name: RECORD.AuthenticationEvent });
});

test('an id the registry does not know is permanent and believed for a minute', async () => {
  const { registry, clock, codec } = await setUp();
  const unknown = { code: 'SEC_AVRO_UNKNOWN_SCHEMA', retriable: false };
  await expect(codec.decode(framed(900))).rejects.toMatchObject(unknown);
  clock.ms += 59_000;
  await expect(codec.decode(framed(900))).rejects.toMatchObject(unknown);
  expect(registry.calls).toEqual([900]);
  clock.ms += 1_001;
  await expect(codec.decode(framed(900))).rejects.toMatchObject(unknown);
  expect(registry.calls).toEqual([900, 900]);
});

test('a flood of invented ids is held back with a retriable error, known ids are not', async () => {
  const { registry, clock, codec, buffer } = await setUp(3);
  await codec.decode(buffer);
  const codes: unknown[] = [];
  for (let id = 500; id < 510; id += 1) {
    await (codec.decode(framed(id)) as Promise<unknown>).catch((error: { code: string }) => codes.push(error.code));
  }
  expect(codes.filter((code) => code === 'SEC_AVRO_UNKNOWN_SCHEMA')).toHaveLength(2);
  expect(codes.filter((code) => code === 'SEC_AVRO_LOOKUP_LIMIT')).toHaveLength(8);
  expect(registry.calls).toHaveLength(3);
  expect(codec.decode(buffer)).toMatchObject({ name: RECORD.AuthenticationEvent });
  clock.ms += 1_000;
  await expect(codec.decode(framed(600))).rejects.toMatchObject({ code: 'SEC_AVRO_UNKNOWN_SCHEMA' });
});

test('a foreign record and an unsafe schema are permanent', async () => {
  const { registry, codec } = await setUp();
  const foreign = await registry.register(
    'x',
    JSON.stringify({ type: 'record', name: 'Foreign', namespace: 'else', fields: [] }),
  );
  await expect(codec.decode(framed(foreign))).rejects.toMatchObject({
    code: 'SEC_AVRO_UNKNOWN_RECORD',
    retriable: false,
  });
  const recursive = { type: 'record', name: 'R', fields: [{ name: 'next', type: ['null', 'R'], default: null }] };
  const id = await registry.register('y', JSON.stringify(recursive));
  await expect(codec.decode(framed(id))).rejects.toMatchObject({ code: 'SEC_AVRO_UNSAFE_SCHEMA', retriable: false });
});
