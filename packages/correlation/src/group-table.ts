import { Arena } from './arena.ts';
import { ByteReader, ByteWriter } from './byte-codec.ts';
import { ColdGroups } from './cold-groups.ts';
import { DueHeap } from './due-heap.ts';
import { CorrelationError } from './errors.ts';
import type { EngineLimits } from './limits.ts';
import { type Family, GroupRef, type Instance, type Live, NOWHERE, type Tenant } from './live-group.ts';
import type { EngineMemory } from './memory.ts';
import { PackedQueue } from './packed-queue.ts';
import { readLive, writeGroupHead, writeLive } from './state-codec.ts';
import { STATE_VERSION, type StateVersion } from './state-version.ts';

/** Group state to be written; `null` deletes it. */
export type DirtyGroup = { readonly groupId: string; readonly blob: Uint8Array | null };

/** Guess of the bytes of a written group. */
const DIRTY_BYTES = 256;

/** Freed bytes, and their part of the used ones, from which packed groups move together. */
const FREE_BYTES_MIN = 2 ** 23;
const FREE_PART = 0.3;

/** Groups that go cold at once at most; the next record goes on. */
const COLD_STEPS = 20_000;

/** Groups of another version that a flush writes anew at most: about as much as a flush may be large by itself. */
const REWRITTEN_PER_FLUSH = 2_000;

const NOBODY = { families: [], tenants: [] };

/** All groups of a partition: who exists, which are decoded, packed or cold, when each is due, and which have changed. */
export class GroupTable {
  readonly due: DueHeap<GroupRef> = new DueHeap<GroupRef>();
  readonly instances: Map<string, Instance> = new Map<string, Instance>();
  /** By organization. */
  readonly tenants: Map<string, Tenant> = new Map<string, Tenant>();
  private limits: EngineLimits;
  /** Those that have been over a limit since the last look. */
  private readonly crowdedFamilies = new Set<Family>();
  private readonly crowdedTenants = new Set<Tenant>();
  private readonly memory: EngineMemory;
  private readonly packedQueue = new PackedQueue();
  private arena = new Arena();
  private readonly writer = new ByteWriter();
  private readonly reader = new ByteReader(new Uint8Array(0));
  private decoded: GroupRef[] = [];
  private hand = 0;
  /** Estimate over the decoded groups. */
  private decodedBytes = 0;
  private dirty: GroupRef[] = [];
  private changed = 0;
  /** Gone since the last `takeDirty`; some may have come back. */
  private removed: GroupRef[] = [];
  private readonly tracksDirty: boolean;
  private readonly version: StateVersion;
  /** Groups that the store has in another version than is written, oldest first. */
  private readonly otherVersion = new Set<GroupRef>();
  size = 0;
  /** Estimate over all groups. */
  bytes = 0;
  /** Groups whose state only the store has. They count for every limit. */
  readonly cold: ColdGroups = new ColdGroups();

  constructor(config: {
    tracksDirty: boolean;
    limits: EngineLimits;
    memory: EngineMemory;
    stateVersion: StateVersion;
  }) {
    this.tracksDirty = config.tracksDirty;
    this.version = config.stateVersion;
    this.limits = config.limits;
    this.memory = config.memory;
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

  private isOverFamily({ size, bytes }: Family): boolean {
    return size > this.limits.ruleGroupsMax || bytes > this.limits.ruleBytesMax;
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
      size: 0,
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

  /** In memory or cold. */
  has(family: Family, groupKey: string): boolean {
    return family.groups.has(groupKey) || (this.cold.size > 0 && this.cold.has(family, groupKey));
  }

  /** With `packed`, what `writeLive` writes of the group today, it is kept in that form until somebody asks for it. */
  add(family: Family, groupKey: string, live: Live, packed: Uint8Array | null = null): GroupRef {
    const ref = new GroupRef(family, groupKey);
    if (this.cold.size > 0 && this.cold.has(family, groupKey)) throw coldError();
    family.groups.set(groupKey, ref);
    family.size++;
    family.instance.groups++;
    family.tenant.groups++;
    this.size++;
    if (packed === null || !this.putPacked(ref, packed)) this.decode(ref, live);
    return ref;
  }

  remove(ref: GroupRef): void {
    const { family } = ref;
    this.due.remove(ref);
    this.weigh(ref, 0);
    if (ref.isCold) this.cold.take(family, ref.groupKey);
    family.groups.delete(ref.groupKey);
    family.size--;
    family.instance.groups--;
    family.tenant.groups--;
    this.size--;
    if (family.size === 0 && family.instance.rule.definition.expect.length === 0) this.removeFamily(family);
    if (ref.place >= 0) this.releasePacked(ref);
    if (this.tracksDirty) this.removed.push(ref);
    if (this.otherVersion.size > 0) this.otherVersion.delete(ref);
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
    return readLive(this.reader, ref.family, ref.groupKey, STATE_VERSION);
  }

  /** The decoded state. */
  live(ref: GroupRef): Live {
    const known = ref.live;
    if (known) {
      known.used = true;
      return known;
    }
    this.reader.reset(this.arena.get(ref.place));
    const live = readLive(this.reader, ref.family, ref.groupKey, STATE_VERSION);
    this.releasePacked(ref);
    this.decode(ref, live);
    return live;
  }

  /**
   * Lets the groups go cold that were used longest ago, until the packed ones keep to their bound: such that only wait for more
   * hits, and that the store has as they are. Costs a look at as many groups as were packed. `isAhead`: the end of its last window
   * is still to come, so that a watermark of its own will meet it.
   */
  letCold(isAhead: (ref: GroupRef) => boolean): void {
    for (let step = 0; step < COLD_STEPS && this.arena.bytesUsed > this.memory.packedBytesMax; step++) {
      const ref = this.packedQueue.next();
      if (!ref) return;
      // A group that has more to say is met here again when it has been used and packed anew.
      if (ref.isDirty || this.otherVersion.has(ref)) this.packedQueue.push(ref);
      else if (ref.outlook === 'silent' && isAhead(ref)) this.coolDown(ref);
    }
  }

  private coolDown(ref: GroupRef): void {
    if (!this.cold.add(ref)) return;
    this.releasePacked(ref);
    this.due.remove(ref);
    ref.family.groups.delete(ref.groupKey);
  }

  /** A cold group as the store has it; one that is cold no more, or over, is left as it is. */
  bring(family: Family, groupKey: string, read: () => Live): void {
    const ref = this.cold.take(family, groupKey);
    if (!ref) return;
    ref.place = NOWHERE;
    family.groups.set(groupKey, ref);
    this.decode(ref, read());
    this.due.schedule(ref, ref.dueMs);
  }

  markDirty(ref: GroupRef): void {
    if (ref.isDirty || !this.tracksDirty) return;
    ref.isDirty = true;
    this.changed++;
    this.dirty.push(ref);
  }

  /** Groups to be written or deleted, at most. */
  get dirtyCount(): number {
    return this.removed.length + this.changed;
  }

  /** The store has the group as another version than is written: some flush writes it anew, changed or not. */
  noteVersion(ref: GroupRef, version: StateVersion): void {
    if (version !== this.version && this.tracksDirty) this.otherVersion.add(ref);
  }

  /** Groups of another version that are still to be written anew. */
  get otherVersionCount(): number {
    return this.otherVersion.size;
  }

  /**
   * Groups changed since the last call: the dead ones, then the others in the order of their first change; then some that are of
   * another version.
   */
  takeDirty(): readonly DirtyGroup[] {
    const groups: DirtyGroup[] = [];
    for (const ref of this.removed) if (!this.isBack(ref)) groups.push({ groupId: ref.id, blob: null });
    const written = this.dirty.filter((ref) => ref.isDirty);
    if (this.otherVersion.size > 0) written.push(...this.takeOtherVersion(this.dirty));
    // All blobs lie in one buffer: hot groups are written many times a second, and small buffers of their own cost more than their bytes.
    const writer = new ByteWriter(written.length * DIRTY_BYTES);
    const ends: number[] = [];
    for (const ref of written) {
      ref.isDirty = false;
      this.write(writer, ref);
      ends.push(writer.size);
    }
    const bytes = writer.view();
    let from = 0;
    for (const [index, ref] of written.entries()) {
      const end = ends[index] as number;
      groups.push({ groupId: ref.id, blob: bytes.subarray(from, end) });
      from = end;
    }
    this.forgetDirty();
    return groups;
  }

  /** Whether a group that was removed has been added again. */
  private isBack({ family, groupKey }: GroupRef): boolean {
    const today = this.instances.get(family.instance.key)?.families.get(family.organization);
    return today !== undefined && this.has(today, groupKey);
  }

  /** Some that `written` did not bring to the version that is written. */
  private takeOtherVersion(written: readonly GroupRef[]): readonly GroupRef[] {
    for (const ref of written) this.otherVersion.delete(ref);
    const refs: GroupRef[] = [];
    for (const ref of this.otherVersion) {
      if (refs.length === REWRITTEN_PER_FLUSH) break;
      this.otherVersion.delete(ref);
      refs.push(ref);
    }
    return refs;
  }

  private write(writer: ByteWriter, ref: GroupRef): void {
    writeGroupHead(writer, ref, this.version);
    if (ref.live) writeLive(writer, ref.live, this.version);
    else if (this.version === STATE_VERSION) writer.raw(this.arena.get(ref.place));
    else writeLive(writer, this.lastLook(ref), this.version);
  }

  forgetDirty(): void {
    for (const ref of this.dirty) ref.isDirty = false;
    this.dirty = [];
    this.changed = 0;
    this.removed = [];
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
    writeLive(this.writer, ref.live, STATE_VERSION);
    return this.writer.view();
  }

  private decode(ref: GroupRef, live: Live): void {
    ref.live = live;
    this.decoded.push(ref);
    this.decodedBytes += ref.weight;
    if (this.decoded.length > this.memory.decodedGroupsMax) this.pack();
    if (this.decodedBytes > this.memory.decodedBytesMax) this.pack();
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
    if (!this.putPacked(ref, this.bytesOf(ref))) return false;
    ref.live = null;
    this.decodedBytes -= ref.weight;
    return true;
  }

  /** False when the bytes are too long to be packed. */
  private putPacked(ref: GroupRef, bytes: Uint8Array): boolean {
    const place = this.arena.put(bytes);
    if (place < 0) return false;
    ref.place = place;
    this.packedQueue.add(ref);
    return true;
  }

  private releasePacked(ref: GroupRef): void {
    this.arena.release(ref.place);
    ref.place = NOWHERE;
    this.packedQueue.leave();
  }
}

function coldError(): CorrelationError {
  return new CorrelationError('a cold group was not brought before it was needed', 'SEC_CORR_COLD');
}
