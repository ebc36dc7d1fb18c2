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

/** What the records of a batch share. */
type BatchHead = {
  readonly bytes: Buffer;
  readonly firstOffset: bigint;
  readonly firstMs: number;
  /** Of all records; null: each has its own. */
  readonly appendTimeMs: number | null;
  readonly context: BatchContext;
};

type Parts = {
  readonly timestampMs: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: Readonly<Record<string, Buffer | null>>;
};

/**
 * A record as its place in a batch; all else is read when it is asked for. Thousands of them wait in the buffers of a consumer, and
 * a collector copies what waits.
 */
export class PlainMessage {
  readonly isControlRecord = false;
  private readonly head: BatchHead;
  private readonly from: number;
  private readonly end: number;
  private readonly offsetDelta: number;

  constructor(head: BatchHead, place: { readonly from: number; readonly end: number; readonly offsetDelta: number }) {
    this.head = head;
    this.from = place.from;
    this.end = place.end;
    this.offsetDelta = place.offsetDelta;
  }

  get at(): bigint {
    return this.head.firstOffset + BigInt(this.offsetDelta);
  }

  get size(): number {
    return this.end - this.from;
  }

  /** Without a copy of key, value and headers. */
  parts(): Parts {
    const { bytes, firstMs, appendTimeMs } = this.head;
    // The attributes of a record are not used.
    const reader = new Reader(bytes, this.from + 1);
    const sinceMs = reader.number();
    reader.number();
    const key = reader.slice(this.end);
    const value = reader.slice(this.end);
    return { timestampMs: appendTimeMs ?? firstMs + sinceMs, key, value, headers: readHeaders(reader, this.end) };
  }

  // The rest is how kafkajs says it.
  get offset(): string {
    return String(this.at);
  }

  get timestamp(): string {
    return String(this.parts().timestampMs);
  }

  get key(): Buffer | null {
    return this.parts().key;
  }

  get value(): Buffer | null {
    return this.parts().value;
  }

  get headers(): Readonly<Record<string, Buffer | null>> {
    return this.parts().headers;
  }

  get batchContext(): BatchContext {
    return this.head.context;
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
    const length = this.skip(end);
    return length < 0 ? null : this.bytes.subarray(this.at - length, this.at);
  }

  /** Passes over them; the answer is their length. */
  skip(end: number): number {
    const length = this.number();
    if (length > 0) this.at += length;
    if (this.at > end) throw new Irregular();
    return length;
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
  const head: BatchHead = {
    bytes,
    firstOffset,
    firstMs: Number(bytes.readBigInt64BE(start + FIRST_TIMESTAMP_AT)),
    appendTimeMs: hasAppendTime ? Number(bytes.readBigInt64BE(start + MAX_TIMESTAMP_AT)) : null,
    context: {
      firstOffset: String(firstOffset),
      lastOffsetDelta: bytes.readInt32BE(start + LAST_OFFSET_DELTA_AT),
      inTransaction: false,
      producerId: String(bytes.readBigInt64BE(start + PRODUCER_ID_AT)),
    },
  };
  const reader = new Reader(bytes, start + RECORDS_AT);
  const records: PlainMessage[] = [];
  for (let left = bytes.readInt32BE(start + COUNT_AT); left > 0; left--) {
    const length = reader.number();
    const from = reader.at;
    const recordEnd = from + length;
    if (length < 0 || recordEnd > end) throw new Irregular();
    reader.at++;
    reader.number();
    const offsetDelta = reader.number();
    reader.skip(recordEnd);
    reader.skip(recordEnd);
    readHeaders(reader, recordEnd);
    if (reader.at !== recordEnd) throw new Irregular();
    records.push(new PlainMessage(head, { from, end: recordEnd, offsetDelta }));
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
