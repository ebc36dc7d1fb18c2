/** Longer texts are rarely met again. */
const BYTES_MAX = 64;
/** A power of two; at most 64 bytes and a string of 64 each: a megabyte. */
const PLACES = 8_192;

/**
 * Texts met lately, found by their bytes: logs repeat themselves, and to know a text again is cheaper than to make it, and the
 * same string is quicker to compare for whoever gets it. One text per place; a newcomer takes the place of what was there.
 */
export class TextMemory {
  private readonly texts: string[] = new Array<string>(PLACES).fill('');
  /** The bytes of each text at 64 times its place: bytes are compared with bytes, which is quicker than with a string. */
  private readonly bytes = new Uint8Array(PLACES * BYTES_MAX);
  /** 0 where there is no text yet. */
  private readonly lengths = new Uint8Array(PLACES);

  /** UTF-8 text of the bytes. */
  text(buf: Buffer, start: number, length: number): string {
    if (length === 0) return '';
    if (length > BYTES_MAX) return buf.toString('utf8', start, start + length);
    const place = placeOf(buf, start, length);
    const { bytes } = this;
    const from = place * BYTES_MAX;
    if (this.lengths[place] === length && isSame({ bytes, from, length }, buf, start))
      return this.texts[place] as string;
    const text = buf.toString('utf8', start, start + length);
    this.texts[place] = text;
    this.lengths[place] = length;
    for (let i = 0; i < length; i++) bytes[from + i] = buf[start + i] as number;
    return text;
  }
}

/** Whether these bytes are those of the buffer from `start` on, which holds as many. */
export function isSame(
  { bytes, from, length }: { readonly bytes: Uint8Array; readonly from: number; readonly length: number },
  buf: Buffer,
  start: number,
): boolean {
  // From the end: texts that differ mostly do so there.
  for (let i = length - 1; i >= 0; i--) if (bytes[from + i] !== buf[start + i]) return false;
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
