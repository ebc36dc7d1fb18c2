import { createRequire } from 'node:module';
import { type PlainMessage, readPlainBatch } from './plain-batch.ts';

/** kafkajs' reader of an answer: a place in its bytes. */
type Decoder = { readonly buffer: Buffer; readonly offset: number; forward(bytes: number): void };
type DecodeBatch<Message> = (decoder: Decoder) => Promise<{ readonly records: readonly Message[] }>;

const BATCH_DECODER = 'kafkajs/src/protocol/recordBatch/v0/decoder.js';
let isSet = false;

/**
 * Lets kafkajs 2.2.4 read plain record batches with our reader, and all others with its own. Idempotent. Its fetch answers load the
 * decoder of batches when the first of them comes, so it is exchanged before; where somebody else has fetched in this
 * process already, batches go on being read as before, which is slower and nothing else.
 */
export function readPlainBatches(): void {
  if (isSet) return;
  isSet = true;
  const require = createRequire(import.meta.url);
  const decodeBatch = require(BATCH_DECODER) as DecodeBatch<unknown>;
  const loaded = require.cache[require.resolve(BATCH_DECODER)];
  if (loaded !== undefined) loaded.exports = plainFirst(decodeBatch);
}

/** Tries the plain form, which most batches have. */
export function plainFirst<Message>(decodeBatch: DecodeBatch<Message>): DecodeBatch<Message | PlainMessage> {
  return function decode(decoder) {
    const batch = readPlainBatch(decoder.buffer, decoder.offset);
    if (batch === null) return decodeBatch(decoder);
    decoder.forward(batch.bytes);
    return Promise.resolve(batch);
  };
}
