import { gzipSync, zstdCompressSync } from 'node:zlib';
import { compressionsAlgorithms } from '@platformatic/kafka';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { setUnpackedBytesMax, UNPACKED_BYTES_MAX, UNPACKERS } from './unpack.ts';
import { lz4Size, snappySize } from './unpacked-size.ts';

const { snappy, lz4 } = compressionsAlgorithms;
const PACK = {
  gzip: (data: Buffer) => gzipSync(data),
  zstd: (data: Buffer) => zstdCompressSync(data),
  snappy: (data: Buffer) => snappy.compressSync(data),
  lz4: (data: Buffer) => lz4.compressSync(data),
} as const;
const CODECS = ['gzip', 'zstd', 'snappy', 'lz4'] as const;
const TOO_LARGE = { code: 'SEC_KAFKA_BATCH_TOO_LARGE', retriable: false };

/** The framing of xerial's library: its header, then blocks with their lengths. */
function xerial(blocks: readonly Buffer[]): Buffer {
  const header = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1]);
  const framed = blocks.map((block) => {
    const packed = snappy.compressSync(block);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(packed.length);
    return Buffer.concat([length, packed]);
  });
  return Buffer.concat([header, ...framed]);
}

describe('unpacking of record batches', () => {
  afterEach(() => setUnpackedBytesMax(UNPACKED_BYTES_MAX));

  it.each(CODECS)('a bomb in %s is refused before its bytes are there', async (name) => {
    const bomb = PACK[name](Buffer.alloc(UNPACKED_BYTES_MAX + 1));
    const before = process.memoryUsage().arrayBuffers;
    expect(() => UNPACKERS[name].unpackSync(bomb)).toThrow(expect.objectContaining(TOO_LARGE));
    await expect(UNPACKERS[name].unpack(bomb)).rejects.toMatchObject(TOO_LARGE);
    if (name === 'snappy' || name === 'lz4') {
      expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(UNPACKED_BYTES_MAX / 2);
    }
  });

  it.each(CODECS)('%s: a batch of just the bound is read', async (name) => {
    setUnpackedBytesMax(10_000);
    const data = Buffer.alloc(10_000, 'ab');
    expect(UNPACKERS[name].unpackSync(PACK[name](data))).toEqual(data);
    expect(await UNPACKERS[name].unpack(PACK[name](data))).toEqual(data);
    expect(() => UNPACKERS[name].unpackSync(PACK[name](Buffer.alloc(10_001)))).toThrow(
      expect.objectContaining(TOO_LARGE),
    );
  });

  it('many small blocks of snappy count together', () => {
    setUnpackedBytesMax(10_000);
    const blocks = Array.from({ length: 11 }, () => Buffer.alloc(1_000));
    expect(UNPACKERS.snappy.unpackSync(xerial(blocks.slice(1)))).toHaveLength(10_000);
    expect(() => UNPACKERS.snappy.unpackSync(xerial(blocks))).toThrow(expect.objectContaining(TOO_LARGE));
  });

  it('property: what is measured is what comes out, for runs and noise of any length', () => {
    const part = fc.oneof(
      fc.uint8Array({ maxLength: 400 }),
      fc.tuple(fc.nat(255), fc.nat(300_000)).map(([byte, length]) => Buffer.alloc(length, byte)),
    );
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 6 }), (parts) => {
        const data = Buffer.concat(parts);
        expect(lz4Size(lz4.compressSync(data))).toBe(data.length);
        expect(snappySize(snappy.compressSync(data))).toBe(data.length);
        expect(snappySize(xerial(parts.map((one) => Buffer.from(one))))).toBe(data.length);
      }),
      { numRuns: 60 },
    );
  });

  it('property: whatever bytes come, measuring ends with a number', () => {
    const magic = Buffer.from([0x04, 0x22, 0x4d, 0x18]);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        for (const start of [Buffer.alloc(0), magic, Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0])]) {
          const packed = Buffer.concat([start, bytes]);
          expect(lz4Size(packed)).toBeGreaterThanOrEqual(0);
          expect(snappySize(packed)).toBeGreaterThanOrEqual(0);
        }
      }),
      { numRuns: 200 },
    );
  });
});
