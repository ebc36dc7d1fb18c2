/** Something that is due at a time and knows where it stands in the heap. */
export type Due = {
  dueMs: number;
  /** Index in the heap, -1 when it is not in it. Owned by the heap. */
  heapIndex: number;
};

/** Binary heap by `dueMs`: a look at the earliest costs nothing, every change O(log n). Order among equals is open. */
export class DueHeap<Item extends Due> {
  private readonly items: Item[] = [];

  get size(): number {
    return this.items.length;
  }

  /** Earliest due time, Infinity when nothing is due ever. */
  get nextMs(): number {
    return this.items[0]?.dueMs ?? Number.POSITIVE_INFINITY;
  }

  /** Adds the item or moves it to its new time; Infinity takes it out. */
  schedule(item: Item, dueMs: number): void {
    if (dueMs === Number.POSITIVE_INFINITY) {
      this.remove(item);
      return;
    }
    item.dueMs = dueMs;
    if (item.heapIndex < 0) {
      item.heapIndex = this.items.length;
      this.items.push(item);
    }
    this.up(item.heapIndex);
    this.down(item.heapIndex);
  }

  remove(item: Item): void {
    const index = item.heapIndex;
    if (index < 0) return;
    const last = this.items.pop() as Item;
    item.heapIndex = -1;
    if (last === item) return;
    this.items[index] = last;
    last.heapIndex = index;
    this.up(index);
    this.down(last.heapIndex);
  }

  /** Takes out everything due at `timeMs` or before. */
  popThrough(timeMs: number): Item[] {
    const due: Item[] = [];
    while (this.nextMs <= timeMs) {
      const item = this.items[0] as Item;
      this.remove(item);
      due.push(item);
    }
    return due;
  }

  private up(start: number): void {
    let index = start;
    const item = this.items[index] as Item;
    while (index > 0) {
      const parent = (index - 1) >>> 1;
      const above = this.items[parent] as Item;
      if (above.dueMs <= item.dueMs) break;
      this.place(above, index);
      index = parent;
    }
    this.place(item, index);
  }

  private down(start: number): void {
    let index = start;
    const item = this.items[index] as Item;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= this.items.length) break;
      const right = this.items[child + 1];
      if (right && right.dueMs < (this.items[child] as Item).dueMs) child++;
      const below = this.items[child] as Item;
      if (below.dueMs >= item.dueMs) break;
      this.place(below, index);
      index = child;
    }
    this.place(item, index);
  }

  private place(item: Item, index: number): void {
    this.items[index] = item;
    item.heapIndex = index;
  }
}
