import { CorrelationError } from './errors.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder();
/** 2^53: above it a double is no exact integer. */
const EXACT_LIMIT = 2 ** 53;

/** Appends values to a growing buffer. Integers take as many bytes as they need (zigzag varint, up to 2^53). */
export class ByteWriter {
  private bytes = new Uint8Array(256);
  private length = 0;

  byte(value: number): void {
    this.reserve(1);
    this.bytes[this.length++] = value;
  }

  integer(value: number): void {
    // Twice the value must stay exact; times and offsets lie far below.
    if (!Number.isInteger(value) || Math.abs(value) >= EXACT_LIMIT / 2) {
      throw new CorrelationError('a number does not fit into state', 'SEC_CORR_STATE');
    }
    let rest = value < 0 ? -2 * value - 1 : 2 * value;
    this.reserve(8);
    while (rest >= 128) {
      this.bytes[this.length++] = (rest % 128) | 128;
      rest = Math.floor(rest / 128);
    }
    this.bytes[this.length++] = rest;
  }

  text(value: string): void {
    const encoded = encoder.encode(value);
    this.integer(encoded.length);
    this.raw(encoded);
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
    return this.bytes.slice(0, this.length);
  }

  private reserve(count: number): void {
    if (this.length + count <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(this.bytes.length * 2, this.length + count));
    grown.set(this.bytes);
    this.bytes = grown;
  }
}

/** Reads what `ByteWriter` wrote; a blob that ends early is a `SEC_CORR_STATE` error, never a wrong value. */
export class ByteReader {
  private readonly bytes: Uint8Array;
  private at = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  byte(): number {
    const value = this.bytes[this.at++];
    if (value === undefined) throw new CorrelationError('a state blob ends early', 'SEC_CORR_STATE');
    return value;
  }

  integer(): number {
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

  text(): string {
    return decoder.decode(this.raw(this.integer()));
  }

  optionalText(): string | null {
    return this.byte() === 0 ? null : this.text();
  }

  optionalInteger(): number | null {
    return this.byte() === 0 ? null : this.integer();
  }

  raw(length: number): Uint8Array {
    if (length < 0 || this.at + length > this.bytes.length) {
      throw new CorrelationError('a state blob ends early', 'SEC_CORR_STATE');
    }
    const value = this.bytes.slice(this.at, this.at + length);
    this.at += length;
    return value;
  }

  /** Every list begins with its length. */
  list<T>(read: () => T): T[] {
    const length = this.integer();
    if (length < 0 || length > this.bytes.length)
      throw new CorrelationError('a state blob holds no list here', 'SEC_CORR_STATE');
    return Array.from({ length }, read);
  }

  end(): void {
    if (this.at !== this.bytes.length)
      throw new CorrelationError('a state blob is longer than its content', 'SEC_CORR_STATE');
  }
}
