import { Arena } from './arena.ts';
import { ByteReader, ByteWriter } from './byte-codec.ts';
import { DueHeap } from './due-heap.ts';
import type { EngineLimits } from './limits.ts';
import { type Family, GroupRef, type Instance, type Live, type Tenant } from './live-group.ts';
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

const NOBODY = { families: [], tenants: [] };

/** All groups of a partition: who exists, which are decoded, when each is due, and which have changed. */
export class GroupTable {
  readonly due: DueHeap<GroupRef> = new DueHeap<GroupRef>();
  readonly instances: Map<string, Instance> = new Map<string, Instance>();
  /** By organization. */
  readonly tenants: Map<string, Tenant> = new Map<string, Tenant>();
  private limits: EngineLimits;
  /** Those that have been over a limit since the last look. */
  private readonly crowdedFamilies = new Set<Family>();
  private readonly crowdedTenants = new Set<Tenant>();
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
  /** Estimate over all groups. */
  bytes = 0;

  constructor({ tracksDirty, limits }: { tracksDirty: boolean; limits: EngineLimits }) {
    this.tracksDirty = tracksDirty;
    this.limits = limits;
  }

  /** The limits that hold from now on. Costs a look at every rule and organization, when they are others than before. */
  keepTo(limits: EngineLimits): void {
    if (limits === this.limits) return;
    this.limits = limits;
    for (const tenant of this.tenants.values()) {
      this.noteTenant(tenant);
      for (const family of tenant.families) this.noteFamily(family);
    }
  }

  /** Rules, each in one organization, and organizations that are over their limit; free while there is none. */
  takeCrowded(): { readonly families: readonly Family[]; readonly tenants: readonly Tenant[] } {
    if (this.crowdedFamilies.size === 0 && this.crowdedTenants.size === 0) return NOBODY;
    const families = [...this.crowdedFamilies].filter((family) => this.isOverFamily(family));
    const tenants = [...this.crowdedTenants].filter((tenant) => this.isOverTenant(tenant));
    this.crowdedFamilies.clear();
    this.crowdedTenants.clear();
    return { families, tenants };
  }

  get isFull(): boolean {
    return this.size > this.limits.groupsMax || this.bytes > this.limits.bytesMax;
  }

  private isOverFamily({ groups, bytes }: Family): boolean {
    return groups.size > this.limits.ruleGroupsMax || bytes > this.limits.ruleBytesMax;
  }

  private isOverTenant({ groups, bytes }: Tenant): boolean {
    return groups > this.limits.organizationGroupsMax || bytes > this.limits.organizationBytesMax;
  }

  private noteFamily(family: Family): void {
    if (this.isOverFamily(family)) this.crowdedFamilies.add(family);
  }

  private noteTenant(tenant: Tenant): void {
    if (this.isOverTenant(tenant)) this.crowdedTenants.add(tenant);
  }

  familyOf(instance: Instance, organization: string): Family | undefined {
    return instance.families.get(organization);
  }

  addFamily(instance: Instance, organization: string): Family {
    let tenant = this.tenants.get(organization);
    if (!tenant) {
      tenant = { organization, families: new Set(), groups: 0, bytes: 0 };
      this.tenants.set(organization, tenant);
    }
    const family: Family = {
      instance,
      organization,
      tenant,
      groups: new Map(),
      bytes: 0,
      firstAtMs: Number.POSITIVE_INFINITY,
      lastAtMs: Number.NEGATIVE_INFINITY,
    };
    instance.families.set(organization, family);
    tenant.families.add(family);
    return family;
  }

  /** Sets the estimate of what the group takes. */
  weigh(ref: GroupRef, weight: number): void {
    const change = weight - ref.weight;
    if (change === 0) return;
    const { family } = ref;
    ref.weight = weight;
    if (ref.live) this.decodedBytes += change;
    this.bytes += change;
    family.bytes += change;
    family.tenant.bytes += change;
    if (change < 0) return;
    this.noteFamily(family);
    this.noteTenant(family.tenant);
  }

  /** With `packed`, what `writeLive` writes of the group, it is kept in that form until somebody asks for it. */
  add(family: Family, groupKey: string, live: Live, packed: Uint8Array | null = null): GroupRef {
    const ref = new GroupRef(family, groupKey);
    family.groups.set(groupKey, ref);
    family.instance.groups++;
    family.tenant.groups++;
    this.size++;
    if (this.tracksDirty && this.deleted.size > 0) this.deleted.delete(ref.id);
    if (packed !== null) ref.place = this.arena.put(packed);
    if (ref.place < 0) this.decode(ref, live);
    return ref;
  }

  remove(ref: GroupRef): void {
    const { family } = ref;
    this.due.remove(ref);
    this.weigh(ref, 0);
    family.groups.delete(ref.groupKey);
    family.instance.groups--;
    family.tenant.groups--;
    this.size--;
    if (family.groups.size === 0 && family.instance.rule.definition.expect.length === 0) this.removeFamily(family);
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

  private removeFamily(family: Family): void {
    const { instance, organization, tenant } = family;
    instance.families.delete(organization);
    tenant.families.delete(family);
    if (tenant.families.size === 0) this.tenants.delete(organization);
  }

  /** The state of a group that is about to go: a packed one is read, but does not count as used. */
  lastLook(ref: GroupRef): Live {
    if (ref.live) return ref.live;
    this.reader.reset(this.arena.get(ref.place));
    return readLive(this.reader, ref.family, ref.groupKey);
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
