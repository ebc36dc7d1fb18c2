import { compareHits } from '../hit.ts';
import type { FirmHit } from './machine-types.ts';

/** Hits that wait for the watermark: a binary heap in total order. Insert and take cost O(log n), in order O(1). */
export class PendingHits {
  private readonly heap: FirmHit[] = [];
  private readonly keys = new Set<string>();

  get size(): number {
    return this.heap.length;
  }

  /** Time of the earliest hit, Infinity without one. */
  get firstMs(): number {
    return this.heap[0]?.timeMs ?? Number.POSITIVE_INFINITY;
  }

  /** Time of the latest hit, -Infinity without one. O(n). */
  get lastMs(): number {
    return this.heap.reduce((lastMs, { timeMs }) => Math.max(lastMs, timeMs), Number.NEGATIVE_INFINITY);
  }

  /** False for a second copy of a waiting hit (X6). */
  add(hit: FirmHit): boolean {
    const key = keyOf(hit);
    if (this.keys.has(key)) return false;
    this.keys.add(key);
    const { heap } = this;
    let index = heap.length;
    heap.push(hit);
    while (index > 0) {
      const parent = (index - 1) >>> 1;
      const above = heap[parent] as FirmHit;
      if (compareHits(above, hit) <= 0) break;
      heap[index] = above;
      index = parent;
    }
    heap[index] = hit;
    return true;
  }

  has(hit: FirmHit): boolean {
    return this.keys.has(keyOf(hit));
  }

  /** Takes the earliest hit out. */
  take(): FirmHit | undefined {
    const first = this.heap[0];
    const last = this.heap.pop();
    if (first === undefined || last === undefined) return undefined;
    this.keys.delete(keyOf(first));
    if (this.heap.length > 0) this.sink(last);
    return first;
  }

  /** In total order. */
  sorted(): FirmHit[] {
    return [...this.heap].sort(compareHits);
  }

  private sink(hit: FirmHit): void {
    const { heap } = this;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      const right = heap[child + 1];
      if (right && compareHits(right, heap[child] as FirmHit) < 0) child++;
      const below = heap[child] as FirmHit;
      if (compareHits(hit, below) <= 0) break;
      heap[index] = below;
      index = child;
    }
    heap[index] = hit;
  }
}

function keyOf({ id, step, value }: FirmHit): string {
  return value === null ? `${step}|${id}` : `${step}|${id.length}|${id}|${value}`;
}
