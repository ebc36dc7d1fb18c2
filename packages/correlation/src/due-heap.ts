/** Something that is due at a time and knows where it stands in the heap. */
export type Due = {
  dueMs: number;
  /** Index in the heap, -1 when it is not in it. Owned by the heap. */
  heapIndex: number;
};

/**
 * Binary heap by due time. Most items become due later and later: moving them each time would cost O(log n) per event, so
 * the heap keeps the time at which an item was placed, and an item that has moved on is placed again when that time comes.
 * A look at the earliest costs nothing. Order among equals is open.
 */
export class DueHeap<Item extends Due> {
  private readonly items: Item[] = [];
  private times = new Float64Array(64);

  get size(): number {
    return this.items.length;
  }

  /** A lower bound of the earliest due time, Infinity when nothing is due ever. */
  get nextMs(): number {
    return this.items.length > 0 ? (this.times[0] as number) : Number.POSITIVE_INFINITY;
  }

  /** Adds the item or moves it to its new time; Infinity takes it out. */
  schedule(item: Item, dueMs: number): void {
    // Later, as mostly: where it stands is no longer than that a bound, which will do.
    const isLater = dueMs >= item.dueMs && dueMs !== Number.POSITIVE_INFINITY;
    item.dueMs = dueMs;
    if (isLater && item.heapIndex >= 0) return;
    if (dueMs === Number.POSITIVE_INFINITY) {
      this.remove(item);
      return;
    }
    if (item.heapIndex < 0) {
      const index = this.items.length;
      if (index === this.times.length) this.grow();
      this.items.push(item);
      this.place(item, dueMs, index);
      this.up(index);
    } else if (dueMs < (this.times[item.heapIndex] as number)) {
      this.times[item.heapIndex] = dueMs;
      this.up(item.heapIndex);
    }
  }

  remove(item: Item): void {
    const index = item.heapIndex;
    if (index < 0) return;
    const last = this.items.pop() as Item;
    const lastMs = this.times[this.items.length] as number;
    item.heapIndex = -1;
    if (last === item) return;
    this.place(last, lastMs, index);
    this.up(index);
    this.down(last.heapIndex);
  }

  /** Takes out everything due at `timeMs` or before. */
  popThrough(timeMs: number): Item[] {
    const due: Item[] = [];
    while (this.nextMs <= timeMs) {
      const item = this.items[0] as Item;
      if (item.dueMs > timeMs) {
        this.times[0] = item.dueMs;
        this.down(0);
      } else {
        this.remove(item);
        due.push(item);
      }
    }
    return due;
  }

  private grow(): void {
    const times = new Float64Array(this.times.length * 2);
    times.set(this.times);
    this.times = times;
  }

  private up(start: number): void {
    let index = start;
    const item = this.items[index] as Item;
    const timeMs = this.times[index] as number;
    while (index > 0) {
      const parent = (index - 1) >>> 1;
      const aboveMs = this.times[parent] as number;
      if (aboveMs <= timeMs) break;
      this.place(this.items[parent] as Item, aboveMs, index);
      index = parent;
    }
    this.place(item, timeMs, index);
  }

  private down(start: number): void {
    let index = start;
    const size = this.items.length;
    const item = this.items[index] as Item;
    const timeMs = this.times[index] as number;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= size) break;
      if (child + 1 < size && (this.times[child + 1] as number) < (this.times[child] as number)) child++;
      const belowMs = this.times[child] as number;
      if (belowMs >= timeMs) break;
      this.place(this.items[child] as Item, belowMs, index);
      index = child;
    }
    this.place(item, timeMs, index);
  }

  private place(item: Item, timeMs: number, index: number): void {
    this.items[index] = item;
    this.times[index] = timeMs;
    item.heapIndex = index;
  }
}
