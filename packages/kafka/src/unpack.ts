import { promisify } from 'node:util';
import { gunzip, gunzipSync, zstdDecompress, zstdDecompressSync } from 'node:zlib';
import { compressionsAlgorithms } from '@platformatic/kafka';
import { FAULTS, KafkaError } from './errors.ts';
import { lz4Size, snappySize } from './unpacked-size.ts';

/**
 * Unpacks the records of a batch, and refuses one that would be larger than a bound before its bytes are there: a megabyte of gzip may
 * hold a gigabyte, and whoever may write to a topic must not end the process of whoever reads it. gzip and zstd stop at the bound;
 * snappy and lz4, which have no such option, are measured first.
 */
export type Unpacker = {
  unpackSync(packed: Buffer): Buffer;
  unpack(packed: Buffer): Promise<Buffer>;
};

/** 32 MiB: 32 times the largest batch of most topics, twice that of `detection.rules`, and little beside a heap. */
export const UNPACKED_BYTES_MAX: number = 32 * 1024 * 1024;

// One for the process: both libraries keep one table of codecs for all their clients.
let bytesMax = UNPACKED_BYTES_MAX;

/** Bytes, at least 1; holds from the next batch on, for every client of the process. */
export function setUnpackedBytesMax(bytes: number): void {
  bytesMax = bytes;
}

const { snappy, lz4 } = compressionsAlgorithms;
/** Before anything takes their places in the table. */
const unpackSnappy = snappy.decompressSync.bind(snappy);
const unpackLz4 = lz4.decompressSync.bind(lz4);
const gunzipLater = promisify(gunzip);
const zstdLater = promisify(zstdDecompress);

export const UNPACKERS: Readonly<Record<'gzip' | 'snappy' | 'lz4' | 'zstd', Unpacker>> = {
  gzip: {
    unpackSync: (packed) => within(() => gunzipSync(packed, { maxOutputLength: bytesMax })),
    unpack: (packed) => withinLater(gunzipLater(packed, { maxOutputLength: bytesMax })),
  },
  zstd: {
    unpackSync: (packed) => within(() => zstdDecompressSync(packed, { maxOutputLength: bytesMax })),
    unpack: (packed) => withinLater(zstdLater(packed, { maxOutputLength: bytesMax })),
  },
  snappy: measured(snappySize, unpackSnappy),
  lz4: measured(lz4Size, unpackLz4),
};

/** Over the WebAssembly codecs of `@platformatic/kafka`, which have no asynchronous form. */
function measured(sizeOf: (packed: Buffer) => number, unpackSync: (packed: Buffer) => Buffer): Unpacker {
  const unpack = (packed: Buffer): Buffer => {
    if (sizeOf(packed) > bytesMax) throw tooLarge();
    return unpackSync(packed);
  };
  return { unpackSync: unpack, unpack: async (packed) => await Promise.resolve(unpack(packed)) };
}

function within(unpack: () => Buffer): Buffer {
  try {
    return unpack();
  } catch (cause) {
    throw isTooLarge(cause) ? tooLarge(cause) : cause;
  }
}

async function withinLater(unpacked: Promise<Buffer>): Promise<Buffer> {
  try {
    return await unpacked;
  } catch (cause) {
    throw isTooLarge(cause) ? tooLarge(cause) : cause;
  }
}

function isTooLarge(cause: unknown): boolean {
  return cause instanceof Error && (cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE';
}

function tooLarge(cause?: unknown): KafkaError {
  const text = 'a record batch is larger unpacked than TRACEHOUND_KAFKA_UNPACKED_BATCH_BYTES_MAX allows';
  return new KafkaError(text, FAULTS.batchTooLarge, cause === undefined ? {} : { cause });
}

/** Puts the bounded codecs in the table of `@platformatic/kafka`, which packs with its own as before. Idempotent. */
export function boundPlatformaticCodecs(): void {
  // Read-only in its types; there is no other place to set a bound.
  const table = compressionsAlgorithms as Record<keyof typeof UNPACKERS, { decompressSync: Unpacker['unpackSync'] }>;
  for (const name of ['gzip', 'snappy', 'lz4', 'zstd'] as const) {
    const { unpackSync } = UNPACKERS[name];
    // A batch comes as a `DynamicBuffer` when it lies in several chunks: that has a `buffer` of its own.
    table[name].decompressSync = (data: Buffer | { readonly buffer: Buffer }) =>
      unpackSync(Buffer.isBuffer(data) ? data : data.buffer);
  }
}
