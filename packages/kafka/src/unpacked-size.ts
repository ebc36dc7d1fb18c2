const XERIAL_MAGIC = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]);
/** Magic, version and compatible version. */
const XERIAL_HEADER_BYTES = 16;
/** No length of a block is longer: 32 bits, seven to a byte. */
const VARINT_BYTES_MAX = 5;

/**
 * Bytes that a batch in snappy takes unpacked, as its blocks say (snappy format description, preamble; the framing of xerial's library,
 * which the Java client writes). A decoder makes exactly so many or fails. What is no snappy counts for nothing: its decoder says so.
 */
export function snappySize(packed: Buffer): number {
  if (!packed.subarray(0, XERIAL_MAGIC.length).equals(XERIAL_MAGIC)) return varintAt(packed, 0);
  let size = 0;
  for (let at = XERIAL_HEADER_BYTES; at + 4 <= packed.length; at += 4 + packed.readUInt32BE(at)) {
    size += varintAt(packed, at + 4);
  }
  return size;
}

function varintAt(bytes: Buffer, from: number): number {
  let value = 0;
  for (let index = 0; index < VARINT_BYTES_MAX; index++) {
    const byte = bytes[from + index] ?? 0;
    value += (byte & 0x7f) * 2 ** (7 * index);
    if (byte < 0x80) break;
  }
  return value;
}

const LZ4_MAGIC = 0x184d2204;
const BLOCK_CHECKSUM = 0x10;
const CONTENT_SIZE = 0x08;
const CONTENT_CHECKSUM = 0x04;
const DICTIONARY = 0x01;
const STORED = 0x80000000;
/** Both lengths of a sequence go on in further bytes when their four bits are full. */
const LENGTH_FULL = 15;
const MATCH_BYTES_MIN = 4;

/**
 * Bytes that a batch in lz4 takes unpacked, counted by walking its sequences without writing one (LZ4 frame format 1.6.2, LZ4 block
 * format): the size that a frame may state need not be there, nor be true. Linear in the packed bytes.
 */
export function lz4Size(packed: Buffer): number {
  let size = 0;
  let at = 0;
  while (at + 7 <= packed.length && packed.readUInt32LE(at) === LZ4_MAGIC) {
    const flags = packed[at + 4] ?? 0;
    at += 7 + ((flags & CONTENT_SIZE) === 0 ? 0 : 8) + ((flags & DICTIONARY) === 0 ? 0 : 4);
    while (at + 4 <= packed.length) {
      const header = packed.readUInt32LE(at);
      at += 4;
      if (header === 0) break;
      const bytes = header % STORED;
      size += header >= STORED ? bytes : blockSize(packed.subarray(at, at + bytes));
      at += bytes + ((flags & BLOCK_CHECKSUM) === 0 ? 0 : 4);
    }
    at += (flags & CONTENT_CHECKSUM) === 0 ? 0 : 4;
  }
  return size;
}

function blockSize(block: Buffer): number {
  let size = 0;
  let at = 0;
  const lengthOf = (bits: number): number => {
    if (bits < LENGTH_FULL) return bits;
    let length = bits;
    for (;;) {
      const byte = block[at++] ?? 0;
      length += byte;
      if (byte < 255) return length;
    }
  };
  while (at < block.length) {
    const token = block[at++] ?? 0;
    const literals = lengthOf(token >> 4);
    size += literals;
    at += literals;
    // The last sequence is of literals alone.
    if (at >= block.length) break;
    at += 2;
    size += lengthOf(token & 15) + MATCH_BYTES_MIN;
  }
  return size;
}
