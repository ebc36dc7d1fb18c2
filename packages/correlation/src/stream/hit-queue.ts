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

type HitFacts = Omit<Readonly<QueuedHit<unknown>>, 'group'>;

const CAPACITY_MIN = 1024;

/** Hits in columns: some 36 bytes each and no object. A place is one index into all columns. */
class HitColumns<Group extends object> {
  /** A power of two. */
  capacity = CAPACITY_MIN;
  times = new Float64Array(CAPACITY_MIN);
  private steps = new Int32Array(CAPACITY_MIN);
  private ids: (string | undefined)[] = new Array(CAPACITY_MIN);
  private groups: (Group | undefined)[] = new Array(CAPACITY_MIN);
  /** Made when the first hit has one. */
  private values: (string | null)[] | null = null;
  private origins: (HitOrigin | null)[] | null = null;

  put(place: number, group: Group, { timeMs, id, step, value, origin }: HitFacts): void {
    this.times[place] = timeMs;
    this.steps[place] = step;
    this.ids[place] = id;
    this.groups[place] = group;
    if (value !== null || this.values !== null) {
      this.values ??= new Array<string | null>(this.capacity).fill(null);
      this.values[place] = value;
    }
    if (origin !== null || this.origins !== null) {
      this.origins ??= new Array<HitOrigin | null>(this.capacity).fill(null);
      this.origins[place] = origin;
    }
  }

  /** Hands out what is at a place, in an entry that is used again, and lets go of it. */
  take(place: number, into: QueuedHit<Group>[], index: number): void {
    const timeMs = this.times[place] as number;
    const group = this.groups[place] as Group;
    const id = this.ids[place] as string;
    const step = this.steps[place] as number;
    const value = this.values === null ? null : (this.values[place] as string | null);
    const origin = this.origins === null ? null : (this.origins[place] as HitOrigin | null);
    this.groups[place] = undefined;
    this.ids[place] = undefined;
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

  /** Twice the room; the places from `from` on, counted on around the end, keep their order. */
  grow(from = 0): void {
    const { capacity } = this;
    const turn = from & (capacity - 1);
    // Places before the turn are those that went around the end: they follow the others now.
    this.times = doubled(this.times, new Float64Array(2 * capacity), turn);
    this.steps = doubled(this.steps, new Int32Array(2 * capacity), turn);
    this.ids = doubledList(this.ids, undefined, turn);
    this.groups = doubledList(this.groups, undefined, turn);
    if (this.values !== null) this.values = doubledList(this.values, null, turn);
    if (this.origins !== null) this.origins = doubledList(this.origins, null, turn);
    this.capacity = 2 * capacity;
  }
}

function doubled<Column extends Int32Array | Float64Array>(before: Column, after: Column, turn: number): Column {
  after.set(before.subarray(turn));
  after.set(before.subarray(0, turn), before.length - turn);
  return after;
}

function doubledList<Item>(before: readonly Item[], empty: Item, turn: number): Item[] {
  return before.slice(turn).concat(before.slice(0, turn), new Array<Item>(before.length).fill(empty));
}

/**
 * Hits that wait for the watermark, ordered by time alone: order within an instant is the reader's. Most come in order and
 * join the end of a ring; stragglers wait in a heap beside it.
 */
export class HitQueue<Group extends object> {
  private readonly ring = new HitColumns<Group>();
  /** Of the ring: from `head` to `tail`, which count on without end but for a new start when it has grown. */
  private head = 0;
  private tail = 0;
  /** Greatest time in the ring. */
  private lastMs = Number.NEGATIVE_INFINITY;
  private readonly stragglers = new HitColumns<Group>();
  /** Places of stragglers as a binary heap by time, then the places that are free. */
  private heap = Int32Array.from({ length: CAPACITY_MIN }, (_, place) => place);
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

  add(group: Group, hit: HitFacts): void {
    const { timeMs } = hit;
    if (timeMs >= this.lastMs || this.head === this.tail) this.append(group, hit);
    else this.push(group, hit);
  }

  /** Takes the earliest hits, all of one time, into `into`, whose entries are used again; returns their number. */
  takeInstant(into: QueuedHit<Group>[]): number {
    const timeMs = this.nextMs;
    let count = 0;
    while (this.ringMs === timeMs) {
      this.ring.take(this.head & (this.ring.capacity - 1), into, count++);
      this.head++;
    }
    while (this.heapMs === timeMs) this.stragglers.take(this.pop(), into, count++);
    return count;
  }

  private get ringMs(): number {
    if (this.head === this.tail) return Number.POSITIVE_INFINITY;
    return this.ring.times[this.head & (this.ring.capacity - 1)] as number;
  }

  private get heapMs(): number {
    return this.heapSize === 0 ? Number.POSITIVE_INFINITY : (this.stragglers.times[this.heap[0] as number] as number);
  }

  private append(group: Group, hit: HitFacts): void {
    const { ring } = this;
    if (this.tail - this.head === ring.capacity) {
      const size = ring.capacity;
      ring.grow(this.head);
      this.head = 0;
      this.tail = size;
    }
    ring.put(this.tail & (ring.capacity - 1), group, hit);
    this.tail++;
    this.lastMs = hit.timeMs;
  }

  private push(group: Group, hit: HitFacts): void {
    const { stragglers } = this;
    if (this.heapSize === stragglers.capacity) {
      stragglers.grow();
      const heap = Int32Array.from({ length: stragglers.capacity }, (_, place) => place);
      heap.set(this.heap);
      this.heap = heap;
    }
    const { heap } = this;
    const { times } = stragglers;
    const { timeMs } = hit;
    let index = this.heapSize++;
    const place = heap[index] as number;
    stragglers.put(place, group, hit);
    while (index > 0) {
      const parent = (index - 1) >>> 1;
      const above = heap[parent] as number;
      if ((times[above] as number) <= timeMs) break;
      heap[index] = above;
      index = parent;
    }
    heap[index] = place;
  }

  /** The place of the earliest straggler, which is then free. */
  private pop(): number {
    const { heap } = this;
    const { times } = this.stragglers;
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
    heap[index] = last;
    heap[size] = first;
    return first;
  }
}
