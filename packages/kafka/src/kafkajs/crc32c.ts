/** The polynomial of Castagnoli, bits reversed (RFC 3720, appendix B.4). */
const POLYNOMIAL = 0x82f63b78;
/** Bytes taken in one step. */
const STEP = 8;

/** `TABLES[n][byte]`: what a byte does to the checksum when `n` bytes follow it in the step. */
const TABLES: readonly Int32Array[] = createTables();

function createTables(): readonly Int32Array[] {
  const tables = Array.from({ length: STEP }, () => new Int32Array(256));
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let n = 0; n < STEP; n++) {
      for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
      (tables[n] as Int32Array)[byte] = crc;
    }
  }
  return tables;
}

const [T0, T1, T2, T3, T4, T5, T6, T7] = TABLES as [
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
];

/**
 * CRC-32C of the bytes from `from` on, unsigned. Eight bytes a step: their look-ups do not wait for each other, as those of kafkajs do,
 * which takes them one by one. Node's own `crc32` is of another polynomial.
 */
export function crc32c(bytes: Uint8Array, from: number): number {
  let crc = -1;
  let at = from;
  // Every place is below the length, and every index of a table below 256.
  const byte = (index: number): number => bytes[index] as number;
  for (; at + STEP <= bytes.length; at += STEP) {
    const head = crc ^ (byte(at) | (byte(at + 1) << 8) | (byte(at + 2) << 16) | (byte(at + 3) << 24));
    crc =
      (T7[head & 255] as number) ^
      (T6[(head >>> 8) & 255] as number) ^
      (T5[(head >>> 16) & 255] as number) ^
      (T4[head >>> 24] as number) ^
      (T3[byte(at + 4)] as number) ^
      (T2[byte(at + 5)] as number) ^
      (T1[byte(at + 6)] as number) ^
      (T0[byte(at + 7)] as number);
  }
  for (; at < bytes.length; at++) crc = (T0[(crc ^ byte(at)) & 255] as number) ^ (crc >>> 8);
  return ~crc >>> 0;
}
