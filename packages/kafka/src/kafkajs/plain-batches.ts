import { exchange } from './exchange.ts';
import { type PlainMessage, readPlainBatch } from './plain-batch.ts';

/** kafkajs' reader of an answer: a place in its bytes. */
type Decoder = { readonly buffer: Buffer; readonly offset: number; forward(bytes: number): void };
type DecodeBatch<Message> = (decoder: Decoder) => Promise<{ readonly records: readonly Message[] }>;

const BATCH_DECODER = 'kafkajs/src/protocol/recordBatch/v0/decoder.js';

/** Lets kafkajs read plain record batches with our reader, and all others with its own. */
export function readPlainBatches(): void {
  exchange<DecodeBatch<unknown>>(BATCH_DECODER, plainFirst);
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
