/** A hit of a group as the queue hands it out; valid until the next call. */
export type QueuedHit<Group> = {
  timeMs: number;
  group: Group;
  id: string;
  step: number;
  value: string | null;
  origin: HitOrigin | null;
};

/** Orders events of one source instance that carry the same time (X2). */
export type HitOrigin = { readonly instance: string; readonly sequence: number };

const CAPACITY_MIN = 1024;

/**
 * Hits that wait for the watermark, ordered by time alone: order within an instant is the reader's. They lie in columns, some
 * 36 bytes each and no object; most come in order and join the end of a ring, stragglers a heap beside it.
 */
export class HitQueue<Group extends object> {
  private capacity = CAPACITY_MIN;
  private times = new Float64Array(CAPACITY_MIN);
  private steps = new Int32Array(CAPACITY_MIN);
  private ids: (string | undefined)[] = new Array(CAPACITY_MIN);
  private groups: (Group | undefined)[] = new Array(CAPACITY_MIN);
  /** Made when the first hit has one. */
  private values: (string | null)[] | null = null;
  private origins: (HitOrigin | null)[] | null = null;
  /** Slots that are free: the first `freeCount`. */
  private free = Int32Array.from({ length: CAPACITY_MIN }, (_, slot) => CAPACITY_MIN - 1 - slot);
  private freeCount = CAPACITY_MIN;
  /** Slots in order of time, from `head` to `tail`, which count on without end. */
  private ring = new Int32Array(CAPACITY_MIN);
  private head = 0;
  private tail = 0;
  /** Greatest time in the ring. */
  private lastMs = Number.NEGATIVE_INFINITY;
  /** Slots as a binary heap by time. */
  private heap = new Int32Array(CAPACITY_MIN);
  private heapSize = 0;

  get size(): number {
    return this.tail - this.head + this.heapSize;
  }

  /** Time of the earliest hit, Infinity without one. */
  get nextMs(): number {
    const ringMs = this.ringMs;
    const heapMs = this.heapMs;
    return heapMs < ringMs ? heapMs : ringMs;
  }

  add(
    group: Group,
    hit: {
      readonly timeMs: number;
      readonly id: string;
      readonly step: number;
      readonly value: string | null;
      readonly origin: HitOrigin | null;
    },
  ): void {
    if (this.freeCount === 0) this.grow();
    const slot = this.free[--this.freeCount] as number;
    const { timeMs, value, origin } = hit;
    this.times[slot] = timeMs;
    this.steps[slot] = hit.step;
    this.ids[slot] = hit.id;
    this.groups[slot] = group;
    if (value !== null || this.values !== null) {
      this.values ??= new Array<string | null>(this.capacity).fill(null);
      this.values[slot] = value;
    }
    if (origin !== null || this.origins !== null) {
      this.origins ??= new Array<HitOrigin | null>(this.capacity).fill(null);
      this.origins[slot] = origin;
    }
    if (timeMs >= this.lastMs || this.head === this.tail) {
      this.lastMs = timeMs;
      this.ring[this.tail++ & (this.capacity - 1)] = slot;
    } else this.push(slot, timeMs);
  }

  /** Takes the earliest hits, all of one time, into `into`, whose entries are used again; returns their number. */
  takeInstant(into: QueuedHit<Group>[]): number {
    const timeMs = this.nextMs;
    let count = 0;
    while (this.ringMs === timeMs) {
      this.takeSlot(this.ring[this.head & (this.capacity - 1)] as number, into, count++);
      this.head++;
    }
    while (this.heapMs === timeMs) this.takeSlot(this.pop(), into, count++);
    return count;
  }

  private get ringMs(): number {
    if (this.head === this.tail) return Number.POSITIVE_INFINITY;
    return this.times[this.ring[this.head & (this.capacity - 1)] as number] as number;
  }

  private get heapMs(): number {
    return this.heapSize === 0 ? Number.POSITIVE_INFINITY : (this.times[this.heap[0] as number] as number);
  }

  private takeSlot(slot: number, into: QueuedHit<Group>[], index: number): void {
    const timeMs = this.times[slot] as number;
    const group = this.groups[slot] as Group;
    const id = this.ids[slot] as string;
    const step = this.steps[slot] as number;
    const value = this.values === null ? null : (this.values[slot] as string | null);
    const origin = this.origins === null ? null : (this.origins[slot] as HitOrigin | null);
    this.groups[slot] = undefined;
    this.ids[slot] = undefined;
    this.free[this.freeCount++] = slot;
    const entry = into[index];
    if (entry === undefined) {
      into.push({ timeMs, group, id, step, value, origin });
      return;
    }
    entry.timeMs = timeMs;
    entry.group = group;
    entry.id = id;
    entry.step = step;
    entry.value = value;
    entry.origin = origin;
  }

  /** All slots are taken. */
  private grow(): void {
    const before = this.capacity;
    const capacity = before * 2;
    const ring = new Int32Array(capacity);
    for (let index = this.head; index < this.tail; index++)
      ring[index & (capacity - 1)] = this.ring[index & (before - 1)] as number;
    this.ring = ring;
    this.heap = widened(this.heap, new Int32Array(capacity));
    this.steps = widened(this.steps, new Int32Array(capacity));
    this.times = widened(this.times, new Float64Array(capacity));
    this.ids.length = capacity;
    this.groups.length = capacity;
    if (this.values !== null) this.values = this.values.concat(new Array<null>(before).fill(null));
    if (this.origins !== null) this.origins = this.origins.concat(new Array<null>(before).fill(null));
    this.free = new Int32Array(capacity);
    for (let index = 0; index < before; index++) this.free[index] = capacity - 1 - index;
    this.freeCount = before;
    this.capacity = capacity;
  }

  private push(slot: number, timeMs: number): void {
    const { heap, times } = this;
    let index = this.heapSize++;
    while (index > 0) {
      const parent = (index - 1) >>> 1;
      const above = heap[parent] as number;
      if ((times[above] as number) <= timeMs) break;
      heap[index] = above;
      index = parent;
    }
    heap[index] = slot;
  }

  private pop(): number {
    const { heap, times } = this;
    const first = heap[0] as number;
    const size = --this.heapSize;
    const last = heap[size] as number;
    const lastMs = times[last] as number;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= size) break;
      if (child + 1 < size && (times[heap[child + 1] as number] as number) < (times[heap[child] as number] as number))
        child++;
      const below = heap[child] as number;
      if (lastMs <= (times[below] as number)) break;
      heap[index] = below;
      index = child;
    }
    if (size > 0) heap[index] = last;
    return first;
  }
}

function widened<Column extends Int32Array | Float64Array>(before: Column, after: Column): Column {
  after.set(before);
  return after;
}
