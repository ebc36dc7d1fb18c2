/** Longer texts are rarely met again. */
const BYTES_MAX = 64;
/** A power of two; at most 64 bytes each: half a megabyte. */
const PLACES = 8_192;

/**
 * Texts met lately, found by their bytes: logs repeat themselves, and to know a text again is cheaper than to make it, and the
 * same string is quicker to compare for whoever gets it. One text per place; a newcomer takes the place of what was there.
 */
export class TextMemory {
  private readonly texts: string[] = new Array<string>(PLACES).fill('');

  /** UTF-8 text of the bytes. */
  text(buf: Buffer, start: number, length: number): string {
    if (length === 0) return '';
    if (length > BYTES_MAX) return buf.toString('utf8', start, start + length);
    const place = placeOf(buf, start, length);
    const known = this.texts[place] as string;
    if (isTextOf(known, buf, { start, length })) return known;
    const text = buf.toString('utf8', start, start + length);
    this.texts[place] = text;
    return text;
  }
}

/** Whether ASCII bytes are exactly this text; never true of others. */
export function isTextOf(text: string, buf: Buffer, at: { readonly start: number; readonly length: number }): boolean {
  const { start, length } = at;
  if (text.length !== length) return false;
  // From the end: texts that differ mostly do so there.
  for (let i = length - 1; i >= 0; i--) {
    const byte = buf[start + i] as number;
    if (byte >= 0x80 || text.charCodeAt(i) !== byte) return false;
  }
  return true;
}

/** As the value memory of the matcher: length, last bytes, and some between. */
function placeOf(buf: Buffer, start: number, length: number): number {
  const last = start + length - 1;
  let hash = length * 31 + (buf[last] as number);
  hash = hash * 31 + (buf[start + (length >> 1)] as number);
  hash = hash * 31 + (buf[start + (length >> 2)] as number);
  if (length > 3) {
    hash = hash * 31 + (buf[last - 1] as number);
    hash = hash * 31 + (buf[last - 2] as number);
    hash = (hash | 0) * 31 + (buf[last - 3] as number);
  }
  return (hash ^ (hash >>> 11)) & (PLACES - 1);
}
