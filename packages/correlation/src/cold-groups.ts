import { Arena } from './arena.ts';
import { COLD, type Family, GroupRef } from './live-group.ts';
import { SlotHeap } from './slot-heap.ts';

/**
 * A group further from the place its hash names is not taken: it stays in memory. Senders choose the keys of groups, so that they
 * may make them meet in one place; they can make nothing slow by it.
 */
const DISTANCE_MAX = 64;

/** Lapsed pairs of a heap from which it is built anew. */
const LAPSED_MIN = 1_024;

const NOTHING = -1;

/**
 * Groups that only wait for more hits and whose state the store alone has: who they are, when they are over, and what the limits
 * ask of them, in some 80 bytes each, and their keys. Open addressing with linear probing, and deletion by shifting back
 * (Knuth, The Art of Computer Programming 3, 6.4, algorithms L and R).
 */
export class ColdGroups {
  size = 0;
  private capacity = 0;
  private dueMs = new Float64Array(0);
  private ageMs = new Float64Array(0);
  private weight = new Int32Array(0);
  private steps = new Int32Array(0);
  /** Index in `families`; `NOTHING` in a free slot. */
  private family = new Int32Array(0);
  /** Where the key lies, in UTF-8. */
  private key = new Int32Array(0);
  private hash = new Int32Array(0);
  /** Neighbours in the list of the family's groups; `NOTHING` at its ends. */
  private before = new Int32Array(0);
  private behind = new Int32Array(0);
  private freeSlots: number[] = [];
  /** Slot + 1 per place; 0 is empty. Twice as many places as slots. */
  private places = new Int32Array(0);
  private keys = new Arena();
  /** How far any group may stand from the place its hash names. */
  private farthest = 0;
  private readonly families: (Family | null)[] = [];
  private readonly familyIndex = new Map<Family, number>();
  private readonly firstOfFamily: number[] = [];
  private readonly freeFamilies: number[] = [];
  /** By the depth of the rule: each has a watermark of its own. */
  private readonly heaps: SlotHeap[] = [];

  /** Takes over what `GroupRef` knows. False when there is no room near its place, or the key is too long: then it is not taken. */
  add(ref: GroupRef): boolean {
    if (this.size >= this.capacity) this.grow();
    const family = this.familyIndex.get(ref.family) ?? this.addFamily(ref.family);
    const hash = hashOf(family, ref.groupKey);
    const place = this.emptyPlace(hash);
    const key = place === NOTHING ? NOTHING : this.keys.put(Buffer.from(ref.groupKey));
    if (key === NOTHING) {
      this.dropEmptyFamily(family);
      return false;
    }
    const slot = this.freeSlots.pop() as number;
    this.places[place] = slot + 1;
    this.link(slot, family);
    this.dueMs[slot] = ref.dueMs;
    this.ageMs[slot] = ref.ageMs;
    this.weight[slot] = ref.weight;
    this.steps[slot] = ref.steps;
    this.key[slot] = key;
    this.hash[slot] = hash;
    this.size++;
    this.heapOf(ref.family).push(ref.dueMs, slot);
    return true;
  }

  has(family: Family, groupKey: string): boolean {
    return this.placeOf(family, groupKey) !== NOTHING;
  }

  /** Takes the group out; undefined when it is not here. */
  take(family: Family, groupKey: string): GroupRef | undefined {
    const place = this.placeOf(family, groupKey);
    if (place === NOTHING) return undefined;
    const ref = this.refOf((this.places[place] as number) - 1);
    this.removeAt(place);
    return ref;
  }

  /** Takes out the groups of the depth that are over at the watermark. */
  takeDue(depth: number, watermarkMs: number): readonly GroupRef[] {
    const heap = this.heaps[depth];
    if (!heap || heap.nextMs > watermarkMs) return NO_REFS;
    const due: GroupRef[] = [];
    while (heap.nextMs <= watermarkMs) {
      const slot = heap.pop();
      // A slot whose group was taken, or that belongs to another group by now, which has a pair of its own.
      if (this.family[slot] === NOTHING || (this.dueMs[slot] as number) > watermarkMs) continue;
      const ref = this.refOf(slot);
      if (ref.family.instance.depth !== depth) continue;
      this.removeAt(this.placeOf(ref.family, ref.groupKey));
      due.push(ref);
    }
    return due;
  }

  /** All groups of the family; they stay. */
  *of(family: Family): Generator<GroupRef> {
    const index = this.familyIndex.get(family);
    let slot = index === undefined ? NOTHING : (this.firstOfFamily[index] as number);
    for (; slot !== NOTHING; slot = this.behind[slot] as number) yield this.refOf(slot);
  }

  private refOf(slot: number): GroupRef {
    const family = this.families[this.family[slot] as number] as Family;
    const ref = new GroupRef(family, this.keys.get(this.key[slot] as number).toString());
    ref.place = COLD;
    ref.outlook = 'silent';
    ref.dueMs = this.dueMs[slot] as number;
    ref.ageMs = this.ageMs[slot] as number;
    ref.weight = this.weight[slot] as number;
    ref.steps = this.steps[slot] as number;
    ref.freshSeconds = Math.floor(ref.newestMs / 1_000);
    return ref;
  }

  private placeOf(family: Family, groupKey: string): number {
    const index = this.familyIndex.get(family);
    if (index === undefined || this.size === 0) return NOTHING;
    const hash = hashOf(index, groupKey);
    let bytes: Buffer | null = null;
    let place = this.homeOf(hash);
    for (let distance = 0; distance <= this.farthest && this.places[place] !== 0; distance++) {
      const slot = (this.places[place] as number) - 1;
      if (this.hash[slot] === hash && this.family[slot] === index) {
        bytes ??= Buffer.from(groupKey);
        if (this.keys.get(this.key[slot] as number).equals(bytes)) return place;
      }
      place = this.after(place);
    }
    return NOTHING;
  }

  /** The first empty place from where the hash names, if it is near enough. */
  private emptyPlace(hash: number): number {
    let place = this.homeOf(hash);
    for (let distance = 0; distance < DISTANCE_MAX; distance++) {
      if (this.places[place] === 0) {
        this.farthest = Math.max(this.farthest, distance);
        return place;
      }
      place = this.after(place);
    }
    return NOTHING;
  }

  private homeOf(hash: number): number {
    return hash & (this.places.length - 1);
  }

  private after(place: number): number {
    return (place + 1) & (this.places.length - 1);
  }

  private removeAt(place: number): void {
    const slot = (this.places[place] as number) - 1;
    this.keys.release(this.key[slot] as number);
    this.unlink(slot);
    this.freeSlots.push(slot);
    this.size--;
    this.shiftBack(place);
  }

  /** Closes the gap: what stands behind it and may stand nearer to its home does. */
  private shiftBack(emptied: number): void {
    let gap = emptied;
    for (let place = this.after(gap); this.places[place] !== 0; place = this.after(place)) {
      const home = this.homeOf(this.hash[(this.places[place] as number) - 1] as number);
      const mask = this.places.length - 1;
      if (((place - home) & mask) < ((place - gap) & mask)) continue;
      this.places[gap] = this.places[place] as number;
      gap = place;
    }
    this.places[gap] = 0;
  }

  private addFamily(family: Family): number {
    const index = this.freeFamilies.pop() ?? this.families.length;
    this.families[index] = family;
    this.firstOfFamily[index] = NOTHING;
    this.familyIndex.set(family, index);
    return index;
  }

  private dropEmptyFamily(index: number): void {
    if (this.firstOfFamily[index] !== NOTHING) return;
    this.familyIndex.delete(this.families[index] as Family);
    this.families[index] = null;
    this.freeFamilies.push(index);
  }

  private link(slot: number, family: number): void {
    const first = this.firstOfFamily[family] as number;
    this.family[slot] = family;
    this.before[slot] = NOTHING;
    this.behind[slot] = first;
    if (first !== NOTHING) this.before[first] = slot;
    this.firstOfFamily[family] = slot;
  }

  private unlink(slot: number): void {
    const family = this.family[slot] as number;
    const [before, behind] = [this.before[slot] as number, this.behind[slot] as number];
    if (before === NOTHING) this.firstOfFamily[family] = behind;
    else this.behind[before] = behind;
    if (behind !== NOTHING) this.before[behind] = before;
    this.family[slot] = NOTHING;
    this.dropEmptyFamily(family);
  }

  private heapOf({ instance }: Family): SlotHeap {
    while (this.heaps.length <= instance.depth) this.heaps.push(new SlotHeap());
    const heap = this.heaps[instance.depth] as SlotHeap;
    if (heap.length > LAPSED_MIN + 2 * this.size) this.rebuildHeaps();
    return heap;
  }

  private rebuildHeaps(): void {
    for (const heap of this.heaps) heap.clear();
    for (let slot = 0; slot < this.capacity; slot++) {
      const family = this.families[this.family[slot] as number];
      if (family) (this.heaps[family.instance.depth] as SlotHeap).push(this.dueMs[slot] as number, slot);
    }
  }

  private grow(): void {
    const before = this.capacity;
    this.capacity = Math.max(64, 2 * before);
    this.dueMs = grown(this.dueMs, new Float64Array(this.capacity));
    this.ageMs = grown(this.ageMs, new Float64Array(this.capacity));
    this.weight = grown(this.weight, new Int32Array(this.capacity));
    this.steps = grown(this.steps, new Int32Array(this.capacity));
    this.family = grown(this.family, new Int32Array(this.capacity).fill(NOTHING));
    this.key = grown(this.key, new Int32Array(this.capacity));
    this.hash = grown(this.hash, new Int32Array(this.capacity));
    for (let slot = this.capacity - 1; slot >= before; slot--) this.freeSlots.push(slot);
    this.before = grown(this.before, new Int32Array(this.capacity));
    this.behind = grown(this.behind, new Int32Array(this.capacity));
    this.places = new Int32Array(2 * this.capacity);
    this.farthest = 0;
    for (let slot = 0; slot < before; slot++) {
      if (this.family[slot] === NOTHING) continue;
      let place = this.homeOf(this.hash[slot] as number);
      let distance = 0;
      for (; this.places[place] !== 0; distance++) place = this.after(place);
      this.farthest = Math.max(this.farthest, distance);
      this.places[place] = slot + 1;
    }
  }
}

const NO_REFS: readonly GroupRef[] = [];

function grown<Numbers extends Float64Array | Int32Array>(from: Numbers, to: Numbers): Numbers {
  to.set(from);
  return to;
}

/** FNV-1a over UTF-16 units, with the bits mixed so that the low ones depend on all (murmur3's finalizer). */
function hashOf(family: number, groupKey: string): number {
  let hash = Math.imul(0x811c9dc5 ^ family, 0x01000193);
  for (let index = 0; index < groupKey.length; index++) hash = Math.imul(hash ^ groupKey.charCodeAt(index), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}
