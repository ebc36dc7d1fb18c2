import { promisify } from 'node:util';
import { gzip, zstdCompress } from 'node:zlib';
import { compressionsAlgorithms } from '@platformatic/kafka';
import kafkajs from 'kafkajs';
import { FAULTS, KafkaError } from '../errors.ts';
import { UNPACKERS } from '../unpack.ts';

/** What kafkajs calls with the records of a batch. */
type Codec = {
  compress(encoder: { readonly buffer: Buffer }): Promise<Buffer>;
  decompress(buffer: Buffer): Promise<Buffer>;
};

/** Codec numbers of a record batch are three bits; 0 is none, 1 to 4 are assigned (Kafka protocol, record batch). */
const NUMBERS_UNASSIGNED = [5, 6, 7];

const CODECS: Readonly<Record<keyof typeof UNPACKERS, Codec>> = {
  gzip: { compress: async ({ buffer }) => await promisify(gzip)(buffer), decompress: UNPACKERS.gzip.unpack },
  zstd: { compress: async ({ buffer }) => await promisify(zstdCompress)(buffer), decompress: UNPACKERS.zstd.unpack },
  // Their WebAssembly codecs have no asynchronous form: a batch is a megabyte at most.
  snappy: {
    compress: ({ buffer }) => Promise.resolve(compressionsAlgorithms.snappy.compressSync(buffer)),
    decompress: UNPACKERS.snappy.unpack,
  },
  lz4: {
    compress: ({ buffer }) => Promise.resolve(compressionsAlgorithms.lz4.compressSync(buffer)),
    decompress: UNPACKERS.lz4.unpack,
  },
};

/**
 * Lets kafkajs 2.2.4, which knows gzip only, read what any producer, mirror or topic setting packs: without it one batch
 * in snappy stops every partition of its broker. None unpacks more than the bound (`unpack.ts`), gzip too. Idempotent. A codec number that nobody has assigned is
 * `SEC_KAFKA_UNSUPPORTED_COMPRESSION`; kafkajs would take the packed bytes for records.
 */
export function registerCodecs(): void {
  const codecs = kafkajs.CompressionCodecs as Record<number, () => unknown>;
  const { GZIP, Snappy, LZ4, ZSTD } = kafkajs.CompressionTypes;
  if (GZIP !== 1) throw new KafkaError('kafkajs numbers its codecs in another way', FAULTS.invalidRequest);
  codecs[GZIP] = () => CODECS.gzip;
  codecs[Snappy] = () => CODECS.snappy;
  codecs[LZ4] = () => CODECS.lz4;
  codecs[ZSTD] = () => CODECS.zstd;
  for (const number of NUMBERS_UNASSIGNED) {
    codecs[number] = () => {
      throw new KafkaError(
        'a record batch is packed by a codec that is not known here; write it with none, gzip, snappy, lz4 or zstd',
        FAULTS.unsupportedCompression,
      );
    };
  }
}
