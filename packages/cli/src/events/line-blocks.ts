const LINE_FEED = 10;

/** Cuts chunks into blocks of whole lines, each with memory of its own. */
export type LineBlocks = {
  /** At most one block: everything up to the last line feed so far. */
  push(chunk: Buffer): Uint8Array | null;
  /** What is left: the last line needs no line feed. */
  end(): Uint8Array | null;
};

/**
 * A line longer than `bytesMax` is cut down to one byte more than that, so that whoever reads the block finds it too long,
 * at its place, and memory stays bounded.
 */
export function createLineBlocks(bytesMax: number): LineBlocks {
  let pieces: Buffer[] = [];
  let bytes = 0;

  function keep(piece: Buffer): void {
    const room = bytesMax + 1 - bytes;
    if (room <= 0 || piece.length === 0) return;
    // The chunk belongs to whoever read it.
    const kept = Buffer.from(piece.subarray(0, room));
    pieces.push(kept);
    bytes += kept.length;
  }

  function take(rest: Buffer): Uint8Array {
    const block = new Uint8Array(bytes + rest.length);
    let at = 0;
    for (const piece of [...pieces, rest]) {
      block.set(piece, at);
      at += piece.length;
    }
    pieces = [];
    bytes = 0;
    return block;
  }

  return {
    push: (chunk) => {
      const last = chunk.lastIndexOf(LINE_FEED);
      if (last < 0) {
        keep(chunk);
        return null;
      }
      const first = bytes > 0 ? chunk.indexOf(LINE_FEED) : 0;
      keep(chunk.subarray(0, first));
      const block = take(chunk.subarray(first, last + 1));
      keep(chunk.subarray(last + 1));
      return block;
    },
    end: () => (bytes === 0 ? null : take(Buffer.alloc(0))),
  };
}
