/** RFC 8878 section 3.1.1: the first bytes of a frame, little endian. */
const FRAME_MAGIC = 0xfd2fb528;
/** Section 3.1.2: 0x184D2A50 to 0x184D2A5F begin frames that a decoder skips. */
const SKIPPABLE_MAGIC = 0x184d2a50;

/**
 * Walks through zstd data without unpacking it and tells where frames end. Node's decoder stops at the end of the first
 * frame without a word, and takes data that ends early for complete; files made by `cat` or in parallel have many frames.
 */
export type ZstdFrames = {
  /** Cuts bytes at the ends of frames; `ends` marks a piece that is the last of its frame. */
  feed(bytes: Buffer): readonly { readonly bytes: Buffer; readonly ends: boolean }[];
  /** Between two frames, where data may end. */
  readonly isComplete: boolean;
};

type Step = 'magic' | 'skippable' | 'descriptor' | 'block' | 'body' | 'last';

/** Bytes each step looks at. */
const LOOKS_AT: Readonly<Record<Step, number>> = { magic: 4, skippable: 4, descriptor: 1, block: 3, body: 0, last: 0 };

/** @see ZstdFrames */
export function createZstdFrames(): ZstdFrames {
  let step: Step = 'magic';
  let looked = Buffer.alloc(0);
  let checksumBytes = 0;
  /** Bytes to pass on before the next look. */
  let passing = 0;
  let begun = false;

  /** What follows the bytes just looked at. */
  function look(head: Buffer): void {
    switch (step) {
      case 'magic': {
        const magic = head.readUInt32LE(0);
        if (magic === FRAME_MAGIC) step = 'descriptor';
        else if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE_MAGIC) step = 'skippable';
        else throw new RangeError('no zstd frame where one was expected');
        return;
      }
      case 'skippable':
        passing = head.readUInt32LE(0);
        step = 'last';
        return;
      case 'descriptor': {
        const descriptor = head.readUInt8(0);
        const isSingle = (descriptor & 0x20) !== 0;
        checksumBytes = (descriptor & 0x04) !== 0 ? 4 : 0;
        const sizeBytes = [isSingle ? 1 : 0, 2, 4, 8][descriptor >>> 6] ?? 0;
        passing = (isSingle ? 0 : 1) + ([0, 1, 2, 4][descriptor & 3] ?? 0) + sizeBytes;
        step = 'body';
        return;
      }
      case 'block': {
        const header = head.readUIntLE(0, 3);
        const isRun = ((header >>> 1) & 3) === 1;
        const isLast = (header & 1) === 1;
        passing = (isRun ? 1 : header >>> 3) + (isLast ? checksumBytes : 0);
        step = isLast ? 'last' : 'body';
        return;
      }
      case 'body':
      case 'last':
        return;
    }
  }

  return {
    feed: (bytes) => {
      const pieces: { bytes: Buffer; ends: boolean }[] = [];
      let from = 0;
      let at = 0;
      while (at < bytes.length || (passing === 0 && (step === 'body' || step === 'last'))) {
        if (passing > 0) {
          const taken = Math.min(passing, bytes.length - at);
          passing -= taken;
          at += taken;
        } else if (step === 'body') step = 'block';
        else if (step === 'last') {
          pieces.push({ bytes: bytes.subarray(from, at), ends: true });
          from = at;
          begun = false;
          step = 'magic';
        } else {
          begun = true;
          const taken = Math.min(LOOKS_AT[step] - looked.length, bytes.length - at);
          looked = Buffer.concat([looked, bytes.subarray(at, at + taken)]);
          at += taken;
          if (looked.length < LOOKS_AT[step]) break;
          const head = looked;
          looked = Buffer.alloc(0);
          look(head);
        }
      }
      if (at > from) pieces.push({ bytes: bytes.subarray(from, at), ends: false });
      return pieces;
    },
    get isComplete() {
      return !begun;
    },
  };
}
