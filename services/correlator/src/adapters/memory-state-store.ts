import { OwnershipLostError } from '../errors.ts';
import type {
  AcquiredState,
  AcquiredStatus,
  Fence,
  FlushOutcome,
  FlushRequest,
  GroupPage,
  StateStore,
} from '../ports.ts';

/** Small, so that few groups already make several pages. */
const PAGE_GROUPS = 3;

type PartitionState = {
  topicId: string;
  epoch: number;
  nonce: string;
  flushSeq: number;
  next: bigint | null;
  engine: Buffer | null;
  groups: Map<string, Buffer>;
  outbox: Buffer[];
  /** What the last write left behind: tells a partial loss from a small state. */
  counted: { groups: number; outbox: number };
};

/**
 * The state store in memory, with the same compare-and-swap as `deploy/redis/tracehound_b_v1.lua`. For unit tests,
 * simulations and offline runs. `snapshot`, `restore` and `flushAll` play the server's failures.
 */
export class MemoryStateStore implements StateStore {
  private readonly partitions = new Map<number, PartitionState>();

  async acquire(
    partition: number,
    options: { readonly nonce: string; readonly topicId: string; readonly forget?: boolean },
  ): Promise<AcquiredState> {
    const known = this.partitions.get(partition);
    const status = statusOf(known, options.topicId);
    const keep = known !== undefined && status === 'held' && options.forget !== true;
    const state: PartitionState = {
      topicId: options.topicId,
      epoch: (known?.epoch ?? 0) + 1,
      nonce: options.nonce,
      flushSeq: keep ? known.flushSeq : 0,
      next: keep ? known.next : null,
      engine: keep ? known.engine : null,
      groups: keep ? known.groups : new Map(),
      outbox: keep ? known.outbox : [],
      counted: keep ? known.counted : { groups: 0, outbox: 0 },
    };
    this.partitions.set(partition, state);
    return {
      fence: { epoch: String(state.epoch), nonce: state.nonce, flushSeq: state.flushSeq },
      status,
      next: state.next,
      engine: state.engine,
      groupCount: state.counted.groups,
      outbox: [...state.outbox],
    };
  }

  async *groups(partition: number, fence: Fence): AsyncGenerator<GroupPage> {
    const state = this.partitions.get(partition);
    if (state === undefined) throw new OwnershipLostError(partition, 'missing');
    if (!isHeldBy(state, fence)) throw new OwnershipLostError(partition, 'fenced');
    // Copies, as a server gives them: a reader may keep and change its bytes.
    const groups = [...state.groups].map(([id, blob]) => [id, Buffer.from(blob)] as const);
    for (let at = 0; at < groups.length; at += PAGE_GROUPS) yield groups.slice(at, at + PAGE_GROUPS);
    // As HSCAN may, while the server grows its table.
    yield groups.slice(0, 1);
  }

  async read(partition: number, fence: Fence, groupIds: readonly string[]): Promise<readonly Buffer[]> {
    const state = this.partitions.get(partition);
    if (state === undefined) throw new OwnershipLostError(partition, 'missing');
    if (!isHeldBy(state, fence)) throw new OwnershipLostError(partition, 'fenced');
    return groupIds.map((id) => {
      const blob = state.groups.get(id);
      if (blob === undefined) throw new OwnershipLostError(partition, 'missing');
      return Buffer.from(blob);
    });
  }

  async flush(request: FlushRequest): Promise<FlushOutcome> {
    const state = this.partitions.get(request.partition);
    if (state === undefined) return 'missing';
    if (!isHeldBy(state, request.fence)) return 'fenced';
    if (isPartial(state) || state.outbox.length < request.trim) return 'missing';
    for (const [id, blob] of request.groups) {
      if (blob === null) state.groups.delete(id);
      else state.groups.set(id, blob);
    }
    state.outbox = [...state.outbox.slice(request.trim), ...request.outbox];
    state.counted = { groups: state.groups.size, outbox: state.outbox.length };
    state.flushSeq += 1;
    state.next = request.next;
    state.engine = request.engine;
    return 'ok';
  }

  async ping(): Promise<void> {}

  /** A copy of one partition as the server holds it now; undefined when it holds nothing. */
  snapshot(partition: number): PartitionState | undefined {
    const state = this.partitions.get(partition);
    return (
      state && { ...state, groups: new Map(state.groups), outbox: [...state.outbox], counted: { ...state.counted } }
    );
  }

  /** A failover to a replica that had not heard of the latest writes. */
  restore(partition: number, state: ReturnType<MemoryStateStore['snapshot']>): void {
    if (state === undefined) this.partitions.delete(partition);
    else
      this.partitions.set(partition, {
        ...state,
        groups: new Map(state.groups),
        outbox: [...state.outbox],
        counted: { ...state.counted },
      });
  }

  flushAll(): void {
    this.partitions.clear();
  }

  /** Loses the groups but not the meta of a partition. */
  loseGroups(partition: number): void {
    this.partitions.get(partition)?.groups.clear();
  }
}

function statusOf(state: PartitionState | undefined, topicId: string): AcquiredStatus {
  if (state === undefined || state.next === null) return 'empty';
  if (state.topicId !== topicId) return 'other_topic';
  return isPartial(state) ? 'partial' : 'held';
}

function isHeldBy(state: PartitionState, fence: Fence): boolean {
  return String(state.epoch) === fence.epoch && state.nonce === fence.nonce && state.flushSeq === fence.flushSeq;
}

function isPartial(state: PartitionState): boolean {
  return state.groups.size !== state.counted.groups || state.outbox.length !== state.counted.outbox;
}
