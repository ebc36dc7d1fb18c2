import { createRequire } from 'node:module';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { readPlainBatch } from './plain-batch.ts';
import { writePlainBatch } from './plain-produce.ts';
import { plainProduceFirst } from './plain-produces.ts';

type CreateRequest = Parameters<typeof plainProduceFirst>[0];
type Produce = Parameters<CreateRequest>[0];
const createRequest = createRequire(import.meta.url)(
  'kafkajs/src/protocol/requests/produce/v3/request.js',
) as CreateRequest;

const NOW_MS = 1_795_000_000_000;
const text = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 90 }),
  fc.constantFrom(63, 64, 8_191, 8_192).map((n) => 'x'.repeat(n)),
);
const field = fc.oneof(text, fc.uint8Array({ maxLength: 300 }).map(Buffer.from));
const record = fc.record(
  {
    key: fc.option(field),
    value: fc.option(field),
    headers: fc.dictionary(fc.string({ unit: 'grapheme', maxLength: 8 }), field, { maxKeys: 3 }),
  },
  { requiredKeys: ['key', 'value'] },
);
const produce = (messages: readonly object[], more: object = {}): Produce =>
  ({
    acks: -1,
    timeout: 30_000,
    topicData: [{ topic: 'tö.pic', partitions: [{ partition: 3, messages }] }],
    ...more,
  }) as Produce;

describe('produce requests', () => {
  beforeEach(() => void vi.useFakeTimers({ now: NOW_MS, toFake: ['Date'] }));
  afterEach(() => void vi.useRealTimers());

  it('are written byte by byte as kafkajs writes them', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(record, { minLength: 1, maxLength: 80 }), async (records) => {
        const wanted = await createRequest(produce(records)).encode();
        const written = await plainProduceFirst(createRequest)(produce(records)).encode();
        expect(written.buffer.equals(wanted.buffer)).toBe(true);
      }),
    );
  });

  it('of many records too, as they are read again', async () => {
    const records = Array.from({ length: 20_000 }, (_, n) => ({ key: null, value: Buffer.from(String(n)) }));
    const read = readPlainBatch(writePlainBatch(records, NOW_MS), 0)?.records ?? [];
    expect(read.map(({ value }) => String(value))).toEqual(records.map(({ value }) => String(value)));
    expect({ at: read.at(-1)?.at, ...read.at(-1)?.parts() }).toMatchObject({ at: 19_999n, timestampMs: NOW_MS });
  });

  it.each([
    ['with a time of their own', [{ key: 'k', value: 'v', timestamp: '5' }], {}],
    ['with a header twice', [{ key: 'k', value: 'v', headers: { a: [Buffer.of(1), Buffer.of(2)] } }], {}],
    ['without a key', [{ value: 'v' }], {}],
    ['with a header without a value', [{ key: 'k', value: 'v', headers: { a: null } }], {}],
    ['packed', [{ key: 'k', value: 'v' }], { compression: 1 }],
    ['of a transaction', [{ key: 'k', value: 'v' }], { transactionalId: 't', producerId: '7' }],
    ['idempotent', [{ key: 'k', value: 'v' }], { producerId: '7' }],
    ['of two topics', [], { topicData: ['a', 'b'].map((topic) => ({ topic, partitions: [] })) }],
  ])('%s are left to kafkajs', (_, messages, more) => {
    const request = createRequest(produce([]));
    expect(plainProduceFirst(() => request)(produce(messages, more))).toBe(request);
  });

  it('of our producer are not left to kafkajs', () => {
    const request = createRequest(produce([]));
    expect(plainProduceFirst(() => request)(produce([{ key: 'k', value: null }]))).not.toBe(request);
  });
});
