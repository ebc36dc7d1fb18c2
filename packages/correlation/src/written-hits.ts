import type { ByteWriter } from './byte-codec.ts';
import { compareHits, type Hit } from './hit.ts';
import { Before, writeHit } from './hit-codec.ts';
import { STATE_VERSION } from './state-version.ts';

/** Shorter lists are sooner written than compared. */
export const REMEMBERED_HITS_MIN = 8;

const NO_BYTES = Buffer.alloc(0);

/**
 * The hits of a group as they were last written. A flush writes whole groups, and of a hot one most hits are those of the flush
 * before: their bytes, which depend on nothing but the hit and the one before it, are copied. Some 50 bytes a hit.
 */
export class WrittenHits {
  private hits: readonly Hit[] = [];
  /** Bytes of each of them. */
  private sizes: readonly number[] = [];
  /** Their bytes, one behind the other. */
  private bytes: Buffer = NO_BYTES;

  /** Appends what `writeHits` appends in the version of today. `hits` are in total order. */
  write(writer: ByteWriter, hits: readonly Hit[], baseMs: number): void {
    writer.integer(hits.length);
    const beginning = writer.size;
    const sizes: number[] = [];
    const before = new Before(baseMs, STATE_VERSION);
    const { hits: old, sizes: oldSizes } = this;
    let oldIndex = 0;
    let oldAt = 0;
    let index = 0;
    while (index < hits.length) {
      const hit = hits[index] as Hit;
      // What is gone since.
      while (oldIndex < old.length && old[oldIndex] !== hit && compareHits(old[oldIndex] as Hit, hit) <= 0) {
        oldAt += oldSizes[oldIndex++] as number;
      }
      // One that is new, or that follows another than before.
      if (index > 0) before.follow(hits[index - 1] as Hit);
      const at = writer.size;
      writeHit(writer, hit, before);
      sizes.push(writer.size - at);
      index++;
      if (old[oldIndex] !== hit) continue;
      oldAt += oldSizes[oldIndex++] as number;
      // Those that follow it as they did.
      const from = oldAt;
      while (index < hits.length && old[oldIndex] === hits[index]) {
        const size = oldSizes[oldIndex++] as number;
        sizes.push(size);
        oldAt += size;
        index++;
      }
      if (oldAt > from) writer.raw(this.bytes.subarray(from, oldAt));
    }
    this.hits = hits.slice();
    this.sizes = sizes;
    this.keep(writer, beginning);
  }

  private keep(writer: ByteWriter, from: number): void {
    const size = writer.size - from;
    const room = this.bytes.length;
    if (size > room || size < room / 4) this.bytes = Buffer.allocUnsafeSlow(size + (size >> 2));
    writer.view().copy(this.bytes, 0, from);
  }
}
