/** A list that grows at the end and is let go at the front, both O(1) over time, with access by index. */
export class Queue<Item> {
  private items: Item[] = [];
  private head = 0;

  get length(): number {
    return this.items.length - this.head;
  }

  /** Counted from the front; a negative index from the end. */
  at(index: number): Item | undefined {
    const from = index < 0 ? this.length + index : index;
    return from < 0 ? undefined : this.items[this.head + from];
  }

  push(item: Item): void {
    this.items.push(item);
  }

  shift(): Item | undefined {
    if (this.length === 0) return undefined;
    const item = this.items[this.head];
    this.head++;
    if (this.head === this.items.length || (this.head > 1024 && this.head * 2 > this.items.length)) {
      this.items = this.items.slice(this.head);
      this.head = 0;
    }
    return item;
  }

  clear(): void {
    this.items = [];
    this.head = 0;
  }

  slice(from: number, to?: number): Item[] {
    return this.items.slice(this.head + from, to === undefined ? undefined : this.head + to);
  }

  /** Number of leading items for which the test holds; it must hold for a prefix only. O(log n). */
  prefixLength(holds: (item: Item) => boolean): number {
    let low = 0;
    let high = this.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (holds(this.at(middle) as Item)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
