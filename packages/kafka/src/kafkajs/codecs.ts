import { promisify } from 'node:util';
import { zstdCompress, zstdDecompress } from 'node:zlib';
import { compressionsAlgorithms } from '@platformatic/kafka';
import kafkajs from 'kafkajs';
import { FAULTS, KafkaError } from '../errors.ts';

/** What kafkajs calls with the records of a batch. */
type Codec = {
  compress(encoder: { readonly buffer: Buffer }): Promise<Buffer>;
  decompress(buffer: Buffer): Promise<Buffer>;
};
type Algorithm = {
  compressSync(data: Buffer): Buffer;
  decompressSync(data: Buffer): Buffer;
};

/** Codec numbers of a record batch are three bits; 0 is none, 1 to 4 are assigned (Kafka protocol, record batch). */
const NUMBERS_UNASSIGNED = [5, 6, 7];

const zstd: Codec = {
  compress: async ({ buffer }) => await promisify(zstdCompress)(buffer),
  decompress: async (buffer) => await promisify(zstdDecompress)(buffer),
};

/**
 * Lets kafkajs 2.2.4, which knows gzip only, read what any producer, mirror or topic setting packs: without it one batch
 * in snappy stops every partition of its broker. Idempotent. A codec number that nobody has assigned is
 * `SEC_KAFKA_UNSUPPORTED_COMPRESSION`; kafkajs would take the packed bytes for records.
 */
export function registerCodecs(): void {
  const codecs = kafkajs.CompressionCodecs as Record<number, () => unknown>;
  const { GZIP, Snappy, LZ4, ZSTD } = kafkajs.CompressionTypes;
  if (GZIP !== 1) throw new KafkaError('kafkajs numbers its codecs in another way', FAULTS.invalidRequest);
  codecs[Snappy] = () => synchronous(compressionsAlgorithms.snappy);
  codecs[LZ4] = () => synchronous(compressionsAlgorithms.lz4);
  codecs[ZSTD] = () => zstd;
  for (const number of NUMBERS_UNASSIGNED) {
    codecs[number] = () => {
      throw new KafkaError(
        'a record batch is packed by a codec that is not known here; write it with none, gzip, snappy, lz4 or zstd',
        FAULTS.unsupportedCompression,
      );
    };
  }
}

/** Over the WebAssembly codecs of `@platformatic/kafka`, which have no asynchronous form: a batch is a megabyte at most. */
function synchronous(algorithm: Algorithm): Codec {
  return {
    compress: ({ buffer }) => Promise.resolve(algorithm.compressSync(buffer)),
    decompress: async (buffer) => await Promise.resolve(algorithm.decompressSync(buffer)),
  };
}
