/** Where a reader stands in a record. One object serves all records, one after another. */
export type Cursor = { buf: Buffer; pos: number };

/** What `readLength` answers where only the whole decoder is to judge. */
export const IRREGULAR = -1;

/** A length, count or index: a zigzag number of at most four bytes that is not negative; otherwise `IRREGULAR`. */
export function readLength(cursor: Cursor): number {
  const { buf } = cursor;
  let byte = buf[cursor.pos++];
  if (byte === undefined) return IRREGULAR;
  if (byte < 0x80) return byte & 1 ? IRREGULAR : byte >> 1;
  let value = byte & 0x7f;
  for (let shift = 7; shift < 28; shift += 7) {
    byte = buf[cursor.pos++];
    if (byte === undefined) return IRREGULAR;
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) return value & 1 ? IRREGULAR : value >> 1;
  }
  return IRREGULAR;
}
