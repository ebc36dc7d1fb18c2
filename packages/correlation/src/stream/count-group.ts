import { BlockPool } from './block-pool.ts';
import type { QueuedHit } from './hit-queue.ts';
import { type LeftEnd, StreamGroup } from './stream-group.ts';

/** The first N hits of the last bucket before a frame begins: evidence if an episode is cut there. */
type Edge = {
  readonly endMs: number;
  readonly ids: string[];
  readonly firstAtMs: number;
  atMs: number;
  count: number;
  /** The edge before: where every bucket is one, the instant of a cut lies in the next. */
  readonly before: Edge | null;
};

const BLOCK_MIN = 4;

/** event_count: a ring of the last N hits says all: the condition holds from the newest until the oldest leaves the window. */
export class CountGroup extends StreamGroup {
  private size = 0;
  /** Slot of the oldest hit in the pool whose blocks are as long as `size` asks for; a multiple of that begins a block. */
  private oldest = 0;
  private edge: Edge | null = null;

  get fresh(): number {
    return this.line.instant.fresh;
  }

  take({ timeMs, id }: QueuedHit<StreamGroup>): boolean {
    const { window, instant } = this.line;
    const { threshold, spanMs } = window;
    let { size } = this;
    let wasTrue = false;
    if (size > 0) {
      const pool = this.poolOf(size);
      const block = this.oldest - (this.oldest % pool.length);
      const last = this.oldest + size - 1;
      const newest = last < block + pool.length ? last : last - pool.length;
      if (pool.times[newest] === timeMs && pool.ids[newest] === id) return false;
      wasTrue = size === threshold && (pool.times[this.oldest] as number) + spanMs >= timeMs;
    }
    if (size === threshold) {
      const pool = this.poolOf(size);
      pool.times[this.oldest] = timeMs;
      pool.ids[this.oldest] = id;
      const next = this.oldest + 1;
      this.oldest = next % pool.length === 0 ? next - pool.length : next;
    } else {
      const pool = this.grow();
      pool.times[this.oldest + size] = timeMs;
      pool.ids[this.oldest + size] = id;
      size++;
      this.size = size;
    }
    instant.fresh++;
    if (instant.mark !== null) instant.mark.count++;
    else if (!wasTrue && size === threshold && this.oldestMs + spanMs >= timeMs) this.markNow(timeMs);
    const endMs = (Math.floor(timeMs / spanMs) + 1) * spanMs;
    if (endMs % window.frameMs === 0) this.noteEdge(endMs, timeMs, id);
    return true;
  }

  settle(): number {
    return this.size === this.line.window.threshold ? this.oldestMs : Number.NEGATIVE_INFINITY;
  }

  leftEnd(timeMs: number): LeftEnd {
    const { fresh, mark } = this.line.instant;
    const edge = this.edge?.endMs === timeMs ? this.edge : (this.edge?.before ?? null);
    const isEdge = edge !== null && edge.endMs === timeMs && edge.count >= this.line.window.threshold;
    const left = isEdge ? { ...edge, count: edge.count + fresh } : mark;
    if (left === null) throw new RangeError('an episode begins without a hit that makes it true');
    // Hits of a count are distinct events.
    return { eventIds: [...left.ids].sort(), firstAtMs: left.firstAtMs, atMs: left.atMs, count: left.count };
  }

  endInstant(): void {
    const { instant } = this.line;
    instant.fresh = 0;
    instant.mark = null;
  }

  release(): void {
    if (this.size === 0) return;
    const pool = this.poolOf(this.size);
    pool.release(this.oldest - (this.oldest % pool.length));
    this.size = 0;
  }

  private get oldestMs(): number {
    return this.poolOf(this.size).times[this.oldest] as number;
  }

  /** The pool in which a ring of so many hits lies: lengths double up to the threshold. */
  private poolOf(size: number): BlockPool {
    const { threshold } = this.line.window;
    let length = BLOCK_MIN;
    while (length < size) length *= 2;
    if (length > threshold) length = threshold;
    return this.line.pools.get(length) as BlockPool;
  }

  /** Room for one more; until the ring is full its oldest hit begins the block. */
  private grow(): BlockPool {
    const { size, line } = this;
    let length = BLOCK_MIN;
    while (length <= size) length *= 2;
    if (length > line.window.threshold) length = line.window.threshold;
    const before = size === 0 ? null : this.poolOf(size);
    if (before !== null && before.length === length) return before;
    let pool = line.pools.get(length);
    if (!pool) {
      pool = new BlockPool(length);
      line.pools.set(length, pool);
    }
    const from = this.oldest;
    this.oldest = pool.take();
    if (before === null) return pool;
    for (let index = 0; index < size; index++) {
      pool.times[this.oldest + index] = before.times[from + index] as number;
      pool.ids[this.oldest + index] = before.ids[from + index];
    }
    before.release(from);
    return pool;
  }

  private markNow(timeMs: number): void {
    const { length, ids } = this.poolOf(this.size);
    const block = this.oldest - (this.oldest % length);
    const mark = ids.slice(block, block + this.size) as string[];
    this.line.instant.mark = { ids: mark, firstAtMs: this.oldestMs, atMs: timeMs, count: this.size };
  }

  private noteEdge(endMs: number, timeMs: number, id: string): void {
    let { edge } = this;
    if (edge?.endMs !== endMs) {
      const before = edge === null ? null : { ...edge, before: null };
      edge = { endMs, ids: [], firstAtMs: timeMs, atMs: timeMs, count: 0, before };
      this.edge = edge;
    }
    edge.count++;
    if (edge.ids.length >= this.line.window.threshold) return;
    edge.ids.push(id);
    edge.atMs = timeMs;
  }
}
