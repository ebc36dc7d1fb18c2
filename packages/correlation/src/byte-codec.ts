import { CorrelationError } from './errors.ts';

/** 2^53: above it a double is no exact integer. */
const EXACT_LIMIT = 2 ** 53;

/** Appends values to a growing buffer. Integers take as many bytes as they need (zigzag varint, up to 2^53). */
export class ByteWriter {
  private bytes: Buffer;
  private length = 0;

  constructor(size = 256) {
    this.bytes = Buffer.alloc(Math.max(1, size));
  }

  get size(): number {
    return this.length;
  }

  /** Begins anew in the same memory: what `view` gave before is overwritten. */
  reset(): void {
    this.length = 0;
  }

  byte(value: number): void {
    this.reserve(1);
    this.bytes[this.length++] = value;
  }

  /** Replaces a byte that was written before. */
  patch(at: number, value: number): void {
    this.bytes[at] = value;
  }

  integer(value: number): void {
    // Twice the value must stay exact; times and offsets lie far below.
    if (!Number.isInteger(value) || Math.abs(value) >= EXACT_LIMIT / 2) {
      throw new CorrelationError('a number does not fit into state', 'SEC_CORR_STATE');
    }
    let rest = value < 0 ? -2 * value - 1 : 2 * value;
    this.reserve(8);
    while (rest >= SMALL_LIMIT) {
      this.bytes[this.length++] = (rest % 128) | 128;
      rest = Math.floor(rest / 128);
    }
    while (rest >= 128) {
      this.bytes[this.length++] = (rest & 127) | 128;
      rest >>>= 7;
    }
    this.bytes[this.length++] = rest;
  }

  /** Eight bytes, big end first. */
  float(value: number): void {
    this.reserve(8);
    this.bytes.writeDoubleBE(value, this.length);
    this.length += 8;
  }

  text(value: string): void {
    // Most texts are short and plain: one byte of length, then one per character, unless one of them needs more.
    if (value.length > SHORT_TEXT_MAX || !this.plainText(value)) this.encodedText(value);
  }

  /** False, and nothing written, when a character is beyond ASCII. */
  private plainText(value: string): boolean {
    const { length } = value;
    this.reserve(length + 1);
    const { bytes } = this;
    let at = this.length;
    bytes[at++] = 2 * length;
    for (let index = 0; index < length; index++) {
      const code = value.charCodeAt(index);
      if (code > 127) return false;
      bytes[at++] = code;
    }
    this.length = at;
    return true;
  }

  private encodedText(value: string): void {
    const length = Buffer.byteLength(value);
    this.integer(length);
    this.reserve(length);
    this.bytes.write(value, this.length);
    this.length += length;
  }

  /** A UUID in its usual form as 16 bytes. False, and nothing written, for any other text. */
  uuid(value: string): boolean {
    if (value.length !== UUID_LENGTH) return false;
    this.reserve(16);
    const { bytes } = this;
    let at = this.length;
    // Negative as soon as one character is no digit.
    let all = 0;
    for (let index = 0; index < UUID_LENGTH; index += 2) {
      if (index === 8 || index === 13 || index === 18 || index === 23) {
        if (value.charCodeAt(index++) !== HYPHEN) return false;
      }
      const digits = (digitOf(value.charCodeAt(index)) << 4) | digitOf(value.charCodeAt(index + 1));
      all |= digits;
      bytes[at++] = digits;
    }
    if (all < 0) return false;
    this.length = at;
    return true;
  }

  optionalText(value: string | null): void {
    this.byte(value === null ? 0 : 1);
    if (value !== null) this.text(value);
  }

  optionalInteger(value: number | null): void {
    this.byte(value === null ? 0 : 1);
    if (value !== null) this.integer(value);
  }

  raw(value: Uint8Array): void {
    this.reserve(value.length);
    this.bytes.set(value, this.length);
    this.length += value.length;
  }

  finish(): Uint8Array {
    return new Uint8Array(this.bytes.subarray(0, this.length));
  }

  /** What was written, without a copy: valid until the writer is used again. */
  view(): Buffer {
    return this.bytes.subarray(0, this.length);
  }

  private reserve(count: number): void {
    if (this.length + count <= this.bytes.length) return;
    const grown = Buffer.alloc(Math.max(this.bytes.length * 2, this.length + count));
    grown.set(this.bytes);
    this.bytes = grown;
  }
}

const SMALL_LIMIT = 2 ** 31;
const SHORT_TEXT_MAX = 48;
const UUID_LENGTH = 36;
const HYPHEN = 45;

/** Value of a hexadecimal digit by its code, -1 for any other character. Lower case only: a UUID must come out as it went in. */
const DIGITS = Int8Array.from({ length: 128 }, (_, code) => '0123456789abcdef'.indexOf(String.fromCharCode(code)));

function digitOf(code: number): number {
  return code < 128 ? (DIGITS[code] as number) : -1;
}

const HEX_PAIRS = Uint16Array.from({ length: 256 }, (_, value) => {
  const digits = value.toString(16).padStart(2, '0');
  return (digits.charCodeAt(0) << 8) | digits.charCodeAt(1);
});
const uuidText = Buffer.alloc(UUID_LENGTH, 45);

/** Reads what `ByteWriter` wrote; a blob that ends early is a `SEC_CORR_STATE` error, never a wrong value. */
export class ByteReader {
  private bytes: Buffer;
  private at = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** What has not been read yet, without a copy. */
  rest(): Uint8Array {
    return this.bytes.subarray(this.at);
  }

  byte(): number {
    const value = this.bytes[this.at++];
    if (value === undefined) throw new CorrelationError('a state blob ends early', 'SEC_CORR_STATE');
    return value;
  }

  integer(): number {
    // Most numbers take one byte.
    const first = this.bytes[this.at];
    if (first !== undefined && first < 128) {
      this.at++;
      return first & 1 ? -((first + 1) >> 1) : first >> 1;
    }
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = this.byte();
      value += (byte & 127) * scale;
      if (byte < 128) break;
      scale *= 128;
      if (scale >= EXACT_LIMIT) throw new CorrelationError('a state blob holds no number here', 'SEC_CORR_STATE');
    }
    return value % 2 === 1 ? -(value + 1) / 2 : value / 2;
  }

  float(): number {
    this.need(8);
    this.at += 8;
    return this.bytes.readDoubleBE(this.at - 8);
  }

  text(): string {
    const length = this.integer();
    this.need(length);
    this.at += length;
    return this.bytes.toString('utf8', this.at - length, this.at);
  }

  /** What `ByteWriter.uuid` wrote. */
  uuid(): string {
    this.need(16);
    for (let index = 0, at = 0; index < 16; index++) {
      if (index === 4 || index === 6 || index === 8 || index === 10) at++;
      const pair = HEX_PAIRS[this.bytes[this.at + index] as number] as number;
      uuidText[at++] = pair >> 8;
      uuidText[at++] = pair & 255;
    }
    this.at += 16;
    return uuidText.toString('latin1', 0, UUID_LENGTH);
  }

  optionalText(): string | null {
    return this.byte() === 0 ? null : this.text();
  }

  optionalInteger(): number | null {
    return this.byte() === 0 ? null : this.integer();
  }

  private need(length: number): void {
    if (length < 0 || this.at + length > this.bytes.length) {
      throw new CorrelationError('a state blob ends early', 'SEC_CORR_STATE');
    }
  }

  raw(length: number): Uint8Array {
    this.need(length);
    const value = Uint8Array.prototype.slice.call(this.bytes, this.at, this.at + length);
    this.at += length;
    return value;
  }

  /** Every list begins with its length; none has more items than the blob has bytes. */
  count(): number {
    const length = this.integer();
    if (length < 0 || length > this.bytes.length)
      throw new CorrelationError('a state blob holds no list here', 'SEC_CORR_STATE');
    return length;
  }

  list<T>(read: () => T): T[] {
    return Array.from({ length: this.count() }, read);
  }

  get position(): number {
    return this.at;
  }

  /** Reads other bytes from their beginning: one reader serves many small blobs. */
  reset(bytes: Buffer): void {
    this.bytes = bytes;
    this.at = 0;
  }

  end(): void {
    if (this.at !== this.bytes.length)
      throw new CorrelationError('a state blob is longer than its content', 'SEC_CORR_STATE');
  }
}
