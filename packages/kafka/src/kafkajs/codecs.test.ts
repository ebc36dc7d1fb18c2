import { createRequire } from 'node:module';
import kafkajs from 'kafkajs';
import { beforeAll, describe, expect, it } from 'vitest';
import { FAULTS, KafkaError } from '../errors.ts';
import { classifyKafkaJs } from './classify.ts';
import { registerCodecs } from './codecs.ts';

const require = createRequire(import.meta.url);
type Encoder = { readonly buffer: Buffer };
type Batch = { readonly records: readonly { readonly value: Buffer }[] };
const { RecordBatch } = require('kafkajs/src/protocol/recordBatch/v0') as {
  RecordBatch: (batch: object) => Promise<Encoder>;
};
const Record = require('kafkajs/src/protocol/recordBatch/record/v0') as (record: object) => Encoder;
const decodeBatch = require('kafkajs/src/protocol/recordBatch/v0/decoder') as (decoder: unknown) => Promise<Batch>;
const Decoder = require('kafkajs/src/protocol/decoder') as new (buffer: Buffer) => unknown;

/** First offset, length, leader epoch, magic byte and checksum come before them (Kafka protocol, record batch). */
const ATTRIBUTES_AT = 8 + 4 + 4 + 1 + 4;
const VALUE = Buffer.from('compressible '.repeat(10_000));

async function batchIn(compression: number): Promise<Buffer> {
  const record = Record({ offsetDelta: 0, timestampDelta: 0, key: 'k', value: VALUE, headers: {} });
  return (await RecordBatch({ compression, records: [record] })).buffer;
}

describe('codecs of record batches', () => {
  beforeAll(registerCodecs);

  it.each(['None', 'GZIP', 'Snappy', 'LZ4', 'ZSTD'] as const)('%s: a batch comes back as it was', async (name) => {
    const compression = kafkajs.CompressionTypes[name];
    const bytes = await batchIn(compression);
    expect(bytes.length < VALUE.length).toBe(compression !== 0);
    expect((await decodeBatch(new Decoder(bytes))).records.map(({ value }) => value)).toEqual([VALUE]);
  });

  it.each([5, 6, 7])('compression-mix: the unassigned number %i is named, and no retry is tried', async (number) => {
    const bytes = await batchIn(0);
    bytes.writeInt16BE(number, ATTRIBUTES_AT);
    const error: unknown = await decodeBatch(new Decoder(bytes)).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(KafkaError);
    expect(error).toMatchObject({ code: 'SEC_KAFKA_UNSUPPORTED_COMPRESSION', retriable: false });
    expect(String(error)).toMatch(/none, gzip, snappy, lz4 or zstd/);
    expect(classifyKafkaJs(error)).toBe(FAULTS.unsupportedCompression);
  });

  it('bytes that are not what their codec says are an error, not records', async () => {
    for (const name of ['GZIP', 'Snappy', 'LZ4', 'ZSTD'] as const) {
      const bytes = await batchIn(0);
      bytes.writeInt16BE(kafkajs.CompressionTypes[name], ATTRIBUTES_AT);
      await expect(decodeBatch(new Decoder(bytes)), name).rejects.toBeDefined();
    }
  });
});
