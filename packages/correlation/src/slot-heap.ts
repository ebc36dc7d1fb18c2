/**
 * Binary min-heap of (time, small number) pairs in typed arrays: 12 bytes each, nothing for a garbage collector to follow. Pairs are
 * not taken out of the middle: whoever empties it passes over those that mean nothing any more, and builds it anew when they
 * are many.
 */
export class SlotHeap {
  private times = new Float64Array(64);
  private slots = new Int32Array(64);
  length = 0;

  /** Infinity when it is empty. */
  get nextMs(): number {
    return this.length > 0 ? (this.times[0] as number) : Number.POSITIVE_INFINITY;
  }

  push(timeMs: number, slot: number): void {
    if (this.length === this.times.length) this.grow();
    let index = this.length++;
    while (index > 0) {
      const parent = (index - 1) >>> 1;
      if ((this.times[parent] as number) <= timeMs) break;
      this.copy(parent, index);
      index = parent;
    }
    this.times[index] = timeMs;
    this.slots[index] = slot;
  }

  /** The number with the least time; -1 when it is empty. */
  pop(): number {
    if (this.length === 0) return -1;
    const slot = this.slots[0] as number;
    this.length--;
    const timeMs = this.times[this.length] as number;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= this.length) break;
      if (child + 1 < this.length && (this.times[child + 1] as number) < (this.times[child] as number)) child++;
      if ((this.times[child] as number) >= timeMs) break;
      this.copy(child, index);
      index = child;
    }
    this.times[index] = timeMs;
    this.slots[index] = this.slots[this.length] as number;
    return slot;
  }

  clear(): void {
    this.length = 0;
  }

  private copy(from: number, to: number): void {
    this.times[to] = this.times[from] as number;
    this.slots[to] = this.slots[from] as number;
  }

  private grow(): void {
    const times = new Float64Array(this.times.length * 2);
    const slots = new Int32Array(this.slots.length * 2);
    times.set(this.times);
    slots.set(this.slots);
    this.times = times;
    this.slots = slots;
  }
}
