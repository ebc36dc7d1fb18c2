/** Places in a record batch of format 2 (Kafka protocol, record batch). */
const LENGTH_AT = 8;
/** What `LENGTH_AT` counts begins here. */
const COUNTED_FROM = 12;
const MAGIC_AT = 16;
const ATTRIBUTES_AT = 21;
const LAST_OFFSET_DELTA_AT = 23;
const FIRST_TIMESTAMP_AT = 27;
const MAX_TIMESTAMP_AT = 35;
const PRODUCER_ID_AT = 43;
const COUNT_AT = 57;
const RECORDS_AT = 61;

const MAGIC = 2;
const LOG_APPEND_TIME = 0x08;

/** Zigzag numbers of so many bytes are exact. */
const VARINT_BYTES_MAX = 7;

type BatchContext = {
  readonly firstOffset: string;
  readonly lastOffsetDelta: number;
  readonly inTransaction: false;
  readonly producerId: string;
};

/** A record with its numbers as numbers, and, for whoever asks kafkajs' way, as text. */
export class PlainMessage {
  readonly at: bigint;
  readonly timestampMs: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: Readonly<Record<string, Buffer | null>>;
  readonly batchContext: BatchContext;
  readonly isControlRecord = false;

  constructor(of: Pick<PlainMessage, 'at' | 'timestampMs' | 'key' | 'value' | 'headers' | 'batchContext'>) {
    this.at = of.at;
    this.timestampMs = of.timestampMs;
    this.key = of.key;
    this.value = of.value;
    this.headers = of.headers;
    this.batchContext = of.batchContext;
  }

  get offset(): string {
    return String(this.at);
  }

  get timestamp(): string {
    return String(this.timestampMs);
  }
}

export type PlainBatch = { readonly records: readonly PlainMessage[]; readonly bytes: number };

class Reader {
  readonly bytes: Buffer;
  at: number;

  constructor(bytes: Buffer, at: number) {
    this.bytes = bytes;
    this.at = at;
  }

  /** A zigzag number; throws `Irregular` when it is cut or longer than is exact. */
  number(): number {
    let value = 0;
    let scale = 1;
    for (let left = VARINT_BYTES_MAX; left > 0; left--) {
      const byte = this.bytes[this.at++];
      if (byte === undefined) break;
      value += (byte & 127) * scale;
      if (byte < 128) return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
      scale *= 128;
    }
    throw new Irregular();
  }

  /** Bytes behind their length, without a copy; null when it is negative. */
  slice(end: number): Buffer | null {
    const length = this.number();
    if (length < 0) return null;
    const from = this.at;
    this.at += length;
    if (this.at > end) throw new Irregular();
    return this.bytes.subarray(from, this.at);
  }
}

class Irregular extends Error {}

/**
 * Reads a batch that is neither packed nor part of a transaction nor a control batch. Null for all others, for one that is cut,
 * and for whatever is not plainly regular: kafkajs then decides, so that an answer is read, or refused, as it would be
 * without this. kafkajs makes nine objects of a record and takes its 64-bit numbers to text and back.
 */
export function readPlainBatch(bytes: Buffer, start: number): PlainBatch | null {
  if (bytes.length < start + RECORDS_AT || bytes[start + MAGIC_AT] !== MAGIC) return null;
  const attributes = bytes.readInt16BE(start + ATTRIBUTES_AT);
  const end = start + COUNTED_FROM + bytes.readInt32BE(start + LENGTH_AT);
  if ((attributes & ~LOG_APPEND_TIME) !== 0 || end > bytes.length || end < start + RECORDS_AT) return null;
  try {
    return { records: readRecords(bytes, { start, end, hasAppendTime: attributes !== 0 }), bytes: end - start };
  } catch (error) {
    if (error instanceof Irregular) return null;
    throw error;
  }
}

function readRecords(
  bytes: Buffer,
  { start, end, hasAppendTime }: { readonly start: number; readonly end: number; readonly hasAppendTime: boolean },
): readonly PlainMessage[] {
  const firstOffset = bytes.readBigInt64BE(start);
  const firstMs = Number(bytes.readBigInt64BE(start + FIRST_TIMESTAMP_AT));
  const maxMs = Number(bytes.readBigInt64BE(start + MAX_TIMESTAMP_AT));
  const batchContext: BatchContext = {
    firstOffset: String(firstOffset),
    lastOffsetDelta: bytes.readInt32BE(start + LAST_OFFSET_DELTA_AT),
    inTransaction: false,
    producerId: String(bytes.readBigInt64BE(start + PRODUCER_ID_AT)),
  };
  const reader = new Reader(bytes, start + RECORDS_AT);
  const records: PlainMessage[] = [];
  for (let left = bytes.readInt32BE(start + COUNT_AT); left > 0; left--) {
    const length = reader.number();
    const recordEnd = reader.at + length;
    if (length < 0 || recordEnd > end) throw new Irregular();
    // The attributes of a record are not used.
    reader.at++;
    const sinceMs = reader.number();
    const at = firstOffset + BigInt(reader.number());
    const key = reader.slice(recordEnd);
    const value = reader.slice(recordEnd);
    const headers = readHeaders(reader, recordEnd);
    records.push(
      new PlainMessage({
        at,
        timestampMs: hasAppendTime ? maxMs : firstMs + sinceMs,
        key,
        value,
        headers,
        batchContext,
      }),
    );
    if (reader.at !== recordEnd) throw new Irregular();
  }
  return records;
}

const NO_HEADERS: Readonly<Record<string, Buffer | null>> = Object.freeze({});

function readHeaders(reader: Reader, end: number): Readonly<Record<string, Buffer | null>> {
  const count = reader.number();
  if (count === 0) return NO_HEADERS;
  const headers: Record<string, Buffer | null> = {};
  for (let left = count; left > 0; left--) {
    const name = reader.slice(end)?.toString('utf8');
    // One that comes twice is a list for kafkajs, and one of these names is no field of an object.
    if (name === undefined || name in headers) throw new Irregular();
    headers[name] = reader.slice(end);
  }
  return headers;
}
