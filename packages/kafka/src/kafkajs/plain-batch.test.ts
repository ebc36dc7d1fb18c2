import { createRequire } from 'node:module';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readPlainBatch } from './plain-batch.ts';
import { plainFirst } from './plain-batches.ts';

const require = createRequire(import.meta.url);
type Encoder = { readonly buffer: Buffer };
type Decoder = { readonly buffer: Buffer; readonly offset: number; forward(bytes: number): void };
type Message = {
  readonly offset: string;
  readonly timestamp: string;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly isControlRecord: boolean;
  readonly batchContext: Readonly<Record<string, unknown>>;
};
type DecodeBatch = (decoder: Decoder) => Promise<{ readonly records: readonly Message[] }>;
const { RecordBatch } = require('kafkajs/src/protocol/recordBatch/v0') as {
  RecordBatch: (batch: object) => Promise<Encoder>;
};
const Record = require('kafkajs/src/protocol/recordBatch/record/v0') as (record: object) => Encoder;
const decodeBatch = require('kafkajs/src/protocol/recordBatch/v0/decoder') as DecodeBatch;
const Decoder = require('kafkajs/src/protocol/decoder') as new (buffer: Buffer) => Decoder;

const ATTRIBUTES_AT = 21;
const LOG_APPEND_TIME = 0x08;
const TRANSACTIONAL = 0x10;
const CONTROL = 0x20;
const FIRST_MS = 1_795_000_000_000;

const record = fc.record({
  key: fc.option(fc.string({ maxLength: 40 })),
  value: fc.option(fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes))),
  headers: fc.dictionary(
    fc.string({ unit: 'grapheme', maxLength: 8 }),
    fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
    { maxKeys: 3 },
  ),
  sinceMs: fc.oneof(fc.integer({ min: 0, max: 200_000 }), fc.constant(2 ** 40)),
});
type Input = { key: string | null; value: Buffer | null; headers: { [name: string]: Buffer }; sinceMs: number };

async function batchOf(records: readonly Input[], firstOffset: bigint): Promise<Buffer> {
  const batch = await RecordBatch({
    records: records.map(({ key, value, headers, sinceMs }, offsetDelta) =>
      Record({ key, value, headers, offsetDelta, timestampDelta: sinceMs }),
    ),
    firstTimestamp: FIRST_MS,
    maxTimestamp: FIRST_MS + 7,
    lastOffsetDelta: records.length - 1,
  });
  const bytes = Buffer.from(batch.buffer);
  bytes.writeBigInt64BE(firstOffset);
  return bytes;
}

function partsOf({ offset, timestamp, key, value, headers, isControlRecord, batchContext }: Message) {
  const { firstOffset, lastOffsetDelta, inTransaction, producerId } = batchContext;
  const context = { firstOffset, lastOffsetDelta, inTransaction, producerId };
  return { offset, timestamp, key, value, headers: { ...headers }, isControlRecord, context };
}

describe('plain record batches', () => {
  it('are read as kafkajs reads them', async () => {
    const offsets = fc.bigInt({ min: 0n, max: 2n ** 62n });
    await fc.assert(
      fc.asyncProperty(fc.array(record, { maxLength: 12 }), offsets, fc.boolean(), async (records, first, isAppend) => {
        const bytes = await batchOf(records, first);
        if (isAppend) bytes.writeInt16BE(LOG_APPEND_TIME, ATTRIBUTES_AT);
        const wanted = await decodeBatch(new Decoder(bytes));
        const decoder = new Decoder(Buffer.concat([Buffer.of(1, 2), bytes, Buffer.of(3)]));
        decoder.forward(2);
        const read = await plainFirst(decodeBatch)(decoder);
        expect(read.records.map(partsOf)).toEqual(wanted.records.map(partsOf));
        expect(decoder.offset).toBe(2 + bytes.length);
      }),
    );
  });

  it.each([
    ['packed', 1],
    ['in a transaction', TRANSACTIONAL],
    ['a control batch', CONTROL],
  ])('a batch that is %s is left to kafkajs', async (_, attributes) => {
    const bytes = await batchOf([{ key: 'k', value: null, headers: {}, sinceMs: 0 }], 5n);
    expect(readPlainBatch(bytes, 0)?.records).toHaveLength(1);
    bytes.writeInt16BE(attributes, ATTRIBUTES_AT);
    expect(readPlainBatch(bytes, 0)).toBeNull();
  });

  it('so is one that is cut anywhere', async () => {
    const bytes = await batchOf([{ key: 'k', value: Buffer.from('v'), headers: { a: Buffer.of(1) }, sinceMs: 3 }], 5n);
    for (let length = 0; length < bytes.length; length++) {
      expect(readPlainBatch(bytes.subarray(0, length), 0)).toBeNull();
      if (length < 61) continue;
      const shorter = Buffer.from(bytes.subarray(0, length));
      shorter.writeInt32BE(length - 12, 8);
      expect(readPlainBatch(shorter, 0)).toBeNull();
    }
  });

  it('and one whose bytes are spoilt gives records or is left to kafkajs, and never throws', async () => {
    const bytes = await batchOf([{ key: 'k', value: Buffer.from('v'), headers: { a: Buffer.of(1) }, sinceMs: 3 }], 5n);
    for (let at = 57; at < bytes.length; at++) {
      for (const value of [0, 1, 127, 128, 255]) {
        const spoilt = Buffer.from(bytes);
        spoilt[at] = value;
        expect(() => readPlainBatch(spoilt, 0)).not.toThrow();
      }
    }
  });

  it('a header of a name twice, or of a name that every object has, is left to kafkajs', async () => {
    const twice = { a: [Buffer.of(1), Buffer.of(2)] } as unknown as { [name: string]: Buffer };
    for (const headers of [twice, { constructor: Buffer.of(1) }]) {
      expect(readPlainBatch(await batchOf([{ key: null, value: null, headers, sinceMs: 0 }], 0n), 0)).toBeNull();
    }
  });
});
