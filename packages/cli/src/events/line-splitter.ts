import { isAscii } from 'node:buffer';

const LINE_FEED = 10;

/**
 * A line without its line feed; broken UTF-8 is U+FFFD. `longDigits`: 16 decimal digits in a row are in it. The text may be
 * a view of a larger one: make a copy of what is kept for long.
 */
export type LineHandler = (text: string, line: number, longDigits: boolean) => void;

export type LineSplitter = {
  push(chunk: Buffer, onLine: LineHandler): void;
  /** The last line needs no line feed. */
  end(onLine: LineHandler): void;
  /** Lines begun so far. */
  readonly lines: number;
};

/** Bytes decoded at once: few enough to stay in the cache until their lines have been parsed. */
const PIECE_BYTES = 65_536;

/** So many digits in a row may be a number that a double cannot hold. */
const LONG_DIGITS = 16;

/** A run of 16 digits lies over a multiple of 16: only there is looked, which beats a pattern. */
function hasLongDigits(bytes: Uint8Array): boolean {
  for (let at = LONG_DIGITS - 1; at < bytes.length; at += LONG_DIGITS) {
    if (!isDigit(bytes[at])) continue;
    let from = at;
    while (from > 0 && isDigit(bytes[from - 1])) from--;
    let to = at + 1;
    while (to < bytes.length && isDigit(bytes[to])) to++;
    if (to - from >= LONG_DIGITS) return true;
  }
  return false;
}

function isDigit(code: number | undefined): boolean {
  return code !== undefined && code >= 48 && code <= 57;
}

/**
 * Cuts bytes into lines by searching for line feeds, which occur inside no other UTF-8 character, and decodes them, many at once
 * where they are ASCII. A line longer than `bytesMax` is not kept: `onTooLong` hears of it once, when the limit is passed,
 * so memory stays bounded whatever comes in.
 */
export function createLineSplitter(bytesMax: number, onTooLong: (line: number) => void): LineSplitter {
  /** Pieces of a line that is not over yet. */
  let pieces: Buffer[] = [];
  let bytes = 0;
  let skipping = false;
  let line = 1;

  function keep(piece: Buffer): void {
    if (skipping || piece.length === 0) return;
    bytes += piece.length;
    if (bytes > bytesMax) {
      skip();
      return;
    }
    // The chunk belongs to whoever read it.
    pieces.push(Buffer.from(piece));
  }

  function skip(): void {
    skipping = true;
    pieces = [];
    onTooLong(line);
  }

  function finish(onLine: LineHandler): void {
    if (!skipping && bytes > 0) {
      const whole = pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces);
      giveOne(whole, onLine);
    }
    pieces = [];
    bytes = 0;
    skipping = false;
    line++;
  }

  /** Whole lines, each with its line feed. */
  function give(piece: Buffer, onLine: LineHandler): void {
    if (!isAscii(piece)) {
      giveOneByOne(piece, onLine);
      return;
    }
    const longDigits = hasLongDigits(piece);
    const text = piece.toString('latin1');
    for (let from = 0; from < text.length; ) {
      const to = text.indexOf('\n', from);
      if (to - from > bytesMax) onTooLong(line);
      else if (to > from) onLine(text.slice(from, to), line, longDigits && hasLongDigits(piece.subarray(from, to)));
      line++;
      from = to + 1;
    }
  }

  function giveOne(bytes: Buffer, onLine: LineHandler): void {
    onLine(bytes.toString('utf8'), line, hasLongDigits(bytes));
  }

  function giveOneByOne(piece: Buffer, onLine: LineHandler): void {
    for (let from = 0; from < piece.length; ) {
      const to = piece.indexOf(LINE_FEED, from);
      if (to - from > bytesMax) onTooLong(line);
      else if (to > from) giveOne(piece.subarray(from, to), onLine);
      line++;
      from = to + 1;
    }
  }

  return {
    push: (chunk, onLine) => {
      let from = 0;
      if (bytes > 0 || skipping) {
        const to = chunk.indexOf(LINE_FEED);
        keep(to < 0 ? chunk : chunk.subarray(0, to));
        if (to < 0) return;
        finish(onLine);
        from = to + 1;
      }
      const end = chunk.lastIndexOf(LINE_FEED) + 1;
      while (from < end) {
        const most = Math.min(from + PIECE_BYTES, end);
        const last = chunk.lastIndexOf(LINE_FEED, most - 1) + 1;
        // A line longer than a piece is a piece of its own.
        const to = last > from ? last : chunk.indexOf(LINE_FEED, most) + 1;
        give(chunk.subarray(from, to), onLine);
        from = to;
      }
      keep(chunk.subarray(Math.max(from, end)));
    },
    end: (onLine) => {
      if (bytes > 0) finish(onLine);
    },
    get lines() {
      return line - 1;
    },
  };
}
