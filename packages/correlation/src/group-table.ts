import { Arena } from './arena.ts';
import { ByteReader, ByteWriter } from './byte-codec.ts';
import { DueHeap } from './due-heap.ts';
import { type Family, GroupRef, type Instance, type Live } from './live-group.ts';
import { readLive, writeGroupHead, writeLive } from './state-codec.ts';

/** Group state to be written; `null` deletes it. */
export type DirtyGroup = { readonly groupId: string; readonly blob: Uint8Array | null };

/**
 * Groups that stay decoded, so that hot keys cost nothing: as many as take some 64 MB. The others lie packed, some 30 bytes
 * per hit; which ones is no part of the state and changes no result.
 */
const DECODED_MAX = 32_768;
const DECODED_BYTES_MAX = 2 ** 26;

/** Guess of the bytes of a written group. */
const DIRTY_BYTES = 256;

/** Freed bytes, and their part of the used ones, from which packed groups move together. */
const FREE_BYTES_MIN = 2 ** 23;
const FREE_PART = 0.3;

/** All groups of a partition: who exists, which are decoded, when each is due, and which have changed. */
export class GroupTable {
  readonly due: DueHeap<GroupRef> = new DueHeap<GroupRef>();
  readonly instances: Map<string, Instance> = new Map<string, Instance>();
  private arena = new Arena();
  private readonly writer = new ByteWriter();
  private readonly reader = new ByteReader(new Uint8Array(0));
  private decoded: GroupRef[] = [];
  private hand = 0;
  /** Estimate over the decoded groups. */
  private decodedBytes = 0;
  private dirty: GroupRef[] = [];
  private changed = 0;
  private deleted = new Set<string>();
  private readonly tracksDirty: boolean;
  size = 0;

  constructor({ tracksDirty }: { tracksDirty: boolean }) {
    this.tracksDirty = tracksDirty;
  }

  familyOf(instance: Instance, organization: string): Family | undefined {
    return instance.families.get(organization);
  }

  addFamily(instance: Instance, organization: string): Family {
    const family: Family = {
      instance,
      organization,
      groups: new Map(),
      firstAtMs: Number.POSITIVE_INFINITY,
      lastAtMs: Number.NEGATIVE_INFINITY,
    };
    instance.families.set(organization, family);
    return family;
  }

  /** Sets the estimate of what the group takes; returns the change. */
  weigh(ref: GroupRef, weight: number): number {
    const change = weight - ref.weight;
    ref.weight = weight;
    if (ref.live) this.decodedBytes += change;
    return change;
  }

  add(family: Family, groupKey: string, live: Live): GroupRef {
    const ref = new GroupRef(family, groupKey);
    family.groups.set(groupKey, ref);
    family.instance.groups++;
    this.size++;
    if (this.tracksDirty && this.deleted.size > 0) this.deleted.delete(ref.id);
    this.decode(ref, live);
    return ref;
  }

  remove(ref: GroupRef): void {
    const { family } = ref;
    this.due.remove(ref);
    family.groups.delete(ref.groupKey);
    family.instance.groups--;
    this.size--;
    if (family.groups.size === 0 && family.instance.rule.definition.expect.length === 0) {
      family.instance.families.delete(family.organization);
    }
    if (ref.place >= 0) {
      this.arena.release(ref.place);
      ref.place = -1;
    }
    if (this.tracksDirty) this.deleted.add(ref.id);
    if (ref.isDirty) this.changed--;
    ref.isDirty = false;
    // Left in the list of decoded groups until the hand comes by.
    ref.live = null;
  }

  /** The decoded state. */
  live(ref: GroupRef): Live {
    const known = ref.live;
    if (known) {
      known.used = true;
      return known;
    }
    this.reader.reset(this.arena.get(ref.place));
    const live = readLive(this.reader, ref.family, ref.groupKey);
    this.arena.release(ref.place);
    ref.place = -1;
    this.decode(ref, live);
    return live;
  }

  markDirty(ref: GroupRef): void {
    if (ref.isDirty || !this.tracksDirty) return;
    ref.isDirty = true;
    this.changed++;
    this.dirty.push(ref);
  }

  get dirtyCount(): number {
    return this.deleted.size + this.changed;
  }

  /** Groups changed since the last call: the dead ones, then the others in the order of their first change. */
  takeDirty(): readonly DirtyGroup[] {
    const groups: DirtyGroup[] = [...this.deleted].map((groupId) => ({ groupId, blob: null }));
    // All blobs lie in one buffer: hot groups are written many times a second, and small buffers of their own cost more than their bytes.
    const writer = new ByteWriter(this.dirty.length * DIRTY_BYTES);
    const ends: number[] = [];
    for (const ref of this.dirty) {
      if (!ref.isDirty) continue;
      ref.isDirty = false;
      writeGroupHead(writer, ref);
      if (ref.live) writeLive(writer, ref.live);
      else writer.raw(this.arena.get(ref.place));
      ends.push(writer.size);
      groups.push({ groupId: ref.id, blob: null });
    }
    const bytes = writer.view();
    let from = 0;
    const first = groups.length - ends.length;
    for (const [index, end] of ends.entries()) {
      groups[first + index] = {
        groupId: (groups[first + index] as DirtyGroup).groupId,
        blob: bytes.subarray(from, end),
      };
      from = end;
    }
    this.dirty = [];
    this.changed = 0;
    this.deleted = new Set();
    return groups;
  }

  forgetDirty(): void {
    for (const ref of this.dirty) ref.isDirty = false;
    this.dirty = [];
    this.changed = 0;
    this.deleted = new Set();
  }

  *refs(): Generator<GroupRef> {
    for (const instance of this.instances.values()) {
      for (const family of instance.families.values()) yield* family.groups.values();
    }
  }

  /** Bytes of packed groups. */
  get packedBytes(): number {
    return this.arena.bytesUsed;
  }

  private bytesOf(ref: GroupRef): Uint8Array {
    if (!ref.live) return this.arena.get(ref.place);
    this.writer.reset();
    writeLive(this.writer, ref.live);
    return this.writer.view();
  }

  private decode(ref: GroupRef, live: Live): void {
    ref.live = live;
    this.decoded.push(ref);
    this.decodedBytes += ref.weight;
    if (this.decoded.length > DECODED_MAX) this.pack();
    if (this.decodedBytes > DECODED_BYTES_MAX) this.pack();
  }

  /** Packs one group that was not used since the hand last came by; the newest is not touched. */
  private pack(): void {
    const newest = this.decoded.length - 1;
    for (let looked = 0; looked < 2 * newest; looked++) {
      if (this.hand >= newest) this.hand = 0;
      const ref = this.decoded[this.hand] as GroupRef;
      if (ref.live?.used) {
        ref.live.used = false;
        this.hand++;
        continue;
      }
      if (ref.live && !this.packed(ref)) {
        this.hand++;
        continue;
      }
      this.decoded[this.hand] = this.decoded[newest] as GroupRef;
      this.decoded.pop();
      this.hand++;
      return;
    }
  }

  /** Copies every block to fresh pages; costs a look at every group, after as many bytes have been freed. */
  private compact(): void {
    const arena = new Arena();
    for (const ref of this.refs()) if (ref.place >= 0) ref.place = arena.put(this.arena.get(ref.place));
    this.arena = arena;
  }

  private packed(ref: GroupRef): boolean {
    if (this.arena.bytesFree > Math.max(FREE_BYTES_MIN, this.arena.bytesUsed * FREE_PART)) this.compact();
    const place = this.arena.put(this.bytesOf(ref));
    if (place < 0) return false;
    ref.place = place;
    ref.live = null;
    this.decodedBytes -= ref.weight;
    return true;
  }
}
