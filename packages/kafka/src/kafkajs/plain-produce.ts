import { crc32c } from './crc32c.ts';

/** Places in a record batch of format 2 (Kafka protocol, record batch). */
const LENGTH_AT = 8;
/** What `LENGTH_AT` counts begins here. */
const COUNTED_FROM = 12;
const MAGIC_AT = 16;
const CRC_AT = 17;
/** What the checksum covers begins here. */
const ATTRIBUTES_AT = 21;
const LAST_OFFSET_DELTA_AT = 23;
const FIRST_TIMESTAMP_AT = 27;
const MAX_TIMESTAMP_AT = 35;
const PRODUCER_ID_AT = 43;
const PRODUCER_EPOCH_AT = 51;
const FIRST_SEQUENCE_AT = 53;
const COUNT_AT = 57;
const RECORDS_AT = 61;

const MAGIC = 2;
const NO_PRODUCER_ID = -1n;

type Field = Buffer | string | null;
/** A record as our producer hands it to kafkajs: its create time is that of the request. */
export type PlainRecord = {
  readonly key: Field;
  readonly value: Field;
  readonly headers?: Readonly<Record<string, Buffer | string>>;
};

/**
 * One record batch, neither packed nor of a transaction nor idempotent, byte by byte as kafkajs 2.2.4 writes it, in one buffer whose
 * size is known beforehand. kafkajs makes an encoder with a zeroed buffer for every record and copies its bytes six times.
 */
export function writePlainBatch(records: readonly PlainRecord[], createTimeMs: number): Buffer {
  const bodies = records.map(bodyBytes);
  let size = RECORDS_AT;
  for (const body of bodies) size += varintBytes(body) + body;
  const bytes = Buffer.allocUnsafe(size);
  const time = BigInt(createTimeMs);
  // First offset and leader epoch are the broker's to set; attributes say: not packed, create time.
  bytes.fill(0, 0, RECORDS_AT);
  bytes.writeInt32BE(size - COUNTED_FROM, LENGTH_AT);
  bytes.writeInt8(MAGIC, MAGIC_AT);
  bytes.writeInt32BE(records.length - 1, LAST_OFFSET_DELTA_AT);
  bytes.writeBigInt64BE(time, FIRST_TIMESTAMP_AT);
  bytes.writeBigInt64BE(time, MAX_TIMESTAMP_AT);
  bytes.writeBigInt64BE(NO_PRODUCER_ID, PRODUCER_ID_AT);
  bytes.writeInt16BE(0, PRODUCER_EPOCH_AT);
  bytes.writeInt32BE(0, FIRST_SEQUENCE_AT);
  bytes.writeInt32BE(records.length, COUNT_AT);
  const writer = new Writer(bytes, RECORDS_AT);
  for (let index = 0; index < records.length; index++) {
    writer.record(records[index] as PlainRecord, index, bodies[index] as number);
  }
  bytes.writeUInt32BE(crc32c(bytes, ATTRIBUTES_AT), CRC_AT);
  return bytes;
}

class Writer {
  private readonly bytes: Buffer;
  private at: number;

  constructor(bytes: Buffer, at: number) {
    this.bytes = bytes;
    this.at = at;
  }

  record({ key, value, headers }: PlainRecord, index: number, bodySize: number): void {
    this.varint(bodySize);
    // Attributes of the record, and its distance from the time of the batch.
    this.bytes[this.at++] = 0;
    this.bytes[this.at++] = 0;
    this.varint(index);
    this.field(key);
    this.field(value);
    this.varint(headerCount(headers));
    for (const name in headers) {
      this.field(name);
      this.field(headers[name] as Buffer | string);
    }
  }

  /** Zigzag; sizes, counts and distances are below 2^30. */
  private varint(value: number): void {
    let left = value < 0 ? -2 * value - 1 : 2 * value;
    for (; left > 127; left >>>= 7) this.bytes[this.at++] = (left & 127) | 128;
    this.bytes[this.at++] = left;
  }

  private field(value: Field): void {
    if (value === null) return this.varint(-1);
    const size = sizeOf(value);
    this.varint(size);
    if (typeof value === 'string') this.bytes.write(value, this.at, size, 'utf8');
    else this.bytes.set(value, this.at);
    this.at += size;
  }
}

/** Of a record behind its length. */
function bodyBytes({ key, value, headers }: PlainRecord, index: number): number {
  let bytes = 2 + varintBytes(index) + fieldBytes(key) + fieldBytes(value) + varintBytes(headerCount(headers));
  for (const name in headers) bytes += fieldBytes(name) + fieldBytes(headers[name] as Buffer | string);
  return bytes;
}

function headerCount(headers: PlainRecord['headers']): number {
  return headers === undefined ? 0 : Object.keys(headers).length;
}

function fieldBytes(value: Field): number {
  if (value === null) return 1;
  const size = sizeOf(value);
  return varintBytes(size) + size;
}

function sizeOf(value: Buffer | string): number {
  return typeof value === 'string' ? Buffer.byteLength(value) : value.length;
}

/** Bytes of a number from 0 on as a zigzag varint. */
function varintBytes(value: number): number {
  let bytes = 1;
  for (let left = 2 * value; left > 127; left >>>= 7) bytes++;
  return bytes;
}
