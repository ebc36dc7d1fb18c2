const LINE_FEED = 10;

/** A line inside a buffer, without its line feed. The buffer is only lent: copy what is kept. */
export type LineHandler = (buffer: Buffer, from: number, to: number, line: number) => void;

export type LineSplitter = {
  push(chunk: Buffer, onLine: LineHandler): void;
  /** The last line needs no line feed. */
  end(onLine: LineHandler): void;
  /** Lines begun so far. */
  readonly lines: number;
};

/**
 * Cuts bytes into lines by searching for line feeds, which occur inside no other UTF-8 character. Nothing is copied but
 * lines that lie across two chunks. A line longer than `bytesMax` is not kept: `onTooLong` hears of it once, when
 * the limit is passed, so memory stays bounded whatever comes in.
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
      onLine(whole, 0, whole.length, line);
    }
    pieces = [];
    bytes = 0;
    skipping = false;
    line++;
  }

  return {
    push: (chunk, onLine) => {
      let from = 0;
      for (;;) {
        const to = chunk.indexOf(LINE_FEED, from);
        if (to < 0) break;
        if (bytes > 0 || skipping) {
          keep(chunk.subarray(from, to));
          finish(onLine);
        } else {
          if (to - from > bytesMax) onTooLong(line);
          else if (to > from) onLine(chunk, from, to, line);
          line++;
        }
        from = to + 1;
      }
      keep(chunk.subarray(from));
    },
    end: (onLine) => {
      if (bytes > 0) finish(onLine);
    },
    get lines() {
      return line - 1;
    },
  };
}
