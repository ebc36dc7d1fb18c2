import type { LogMark } from '@tracehound/correlation';
import type { MatchBatch } from '@tracehound/event-model';
import { invariant } from '@tracehound/event-model';
import { OwnershipLostError } from '../errors.ts';
import type {
  AcquiredState,
  AlertOutlet,
  ChangedGroup,
  EmittedBase,
  EmittedProgress,
  Fence,
  GroupPage,
  OutboxRecord,
  StateStore,
} from '../ports.ts';
import { decodeOutboxRecord, encodeOutboxRecord } from './outbox-record.ts';

/** A record of security.matches, decoded. */
export type MatchesRecord = { readonly offset: bigint; readonly appendTimeMs: number; readonly batch: MatchBatch };

/** State of one partition in memory: a pure function of the matches log (X8). Synchronous; reads no clock. */
export type PartitionEngine = {
  /** Deduplicates, windows and evaluates one record; what comes out, in order. Throws `InvariantError` on a gap (X5). */
  apply(record: MatchesRecord, options: { readonly rebuilding: boolean }): readonly OutboxRecord[];
  /** Cold groups that the records need; to be brought before the first of them is applied. */
  need(records: readonly MatchesRecord[]): readonly string[];
  /** Groups as the store has them. */
  bring(blobs: readonly Buffer[]): void;
  /** Hits for correlations of other partitions that `takeChained` has not handed out. */
  chainCount(): number;
  /** X11: records for security.matches about everything below `next`. They must go into the flush that saves `next`. */
  takeChained(next: bigint): readonly OutboxRecord[];
  /** Groups changed since the last `takeDirty`. */
  dirtyCount(): number;
  /** The changed groups; forgets that they were dirty. */
  takeDirty(): readonly ChangedGroup[];
  /** Marks, watermarks, counters. */
  meta(): Buffer;
  /** Where the log begins to matter for the state as it is now; null = all of it (X12). */
  rebuildFrom(): LogMark | null;
};

/** Builds the engine from what was held; `meta` null = from nothing, and then from the log behind `rebuildFrom` alone. */
export type OpenEngine = (state: {
  readonly meta: Buffer | null;
  readonly groups: AsyncIterable<GroupPage>;
  readonly groupCount: number;
  readonly rebuildFrom: LogMark | null;
}) => Promise<PartitionEngine>;

export type OwnerDeps = {
  readonly partition: number;
  readonly topicId: () => string;
  readonly store: StateStore;
  readonly outlet: AlertOutlet;
  readonly progress: EmittedProgress;
  readonly openEngine: OpenEngine;
  /** Randomness from outside: 128 bits per acquisition. */
  readonly nonce: () => string;
  readonly faultPoint: (name: string) => void;
  readonly observe?: OwnerObserver;
};

/** What the owner tells the metrics. */
export type OwnerObserver = {
  acquired?(state: AcquiredState, mutedBelow: bigint): void;
  lost?(outcome: string): void;
  flushed?(groups: number, outbox: number): void;
  emitted?(records: number): void;
  brought?(groups: number): void;
};

type Session = {
  fence: Fence;
  readonly engine: PartitionEngine;
  /** Next matches offset to apply; null before the first record of a rebuild. */
  next: bigint | null;
  /** Kafka-committed base: every alert below it is acknowledged, so it is not emitted again (X12). */
  readonly mutedBelow: bigint;
  /** Emitted by the engine, not yet in the store. */
  fresh: OutboxRecord[];
  /** In the store, not yet acknowledged by the alerts topic. Oldest first. */
  pending: OutboxRecord[];
  /** Acknowledged, still in the store: the next flush trims them. */
  acknowledged: number;
  /** `next` of the last successful flush of this session, and where the log began to matter then. */
  flushed: EmittedBase | null;
  /** The state changed since the last flush, apart from dirty groups and outbox. */
  touched: boolean;
  committed: bigint | null;
};

/** Groups per reading call: some 100 kB, so the server is never held up. */
const READ_CHUNK = 500;

/** Records per produce call while emitting: the acknowledged prefix is known in these steps. */
const EMIT_CHUNK = 500;

/**
 * The owner of one partition of security.matches: acquire, apply, flush, emit, commit (X8, X9, X12). It holds no
 * timer and no Kafka: a shell calls it, never two calls at once. Every doubt about a flush ends the session; the
 * next call has to `acquire`, which takes a new epoch and nonce before it reads, so whatever is still on its way to
 * the store can do nothing.
 */
export class PartitionOwner {
  private readonly deps: OwnerDeps;
  private session: Session | null = null;

  constructor(deps: OwnerDeps) {
    this.deps = deps;
  }

  get partition(): number {
    return this.deps.partition;
  }

  /** Whether memory is in step with the store as far as known. */
  get isHeld(): boolean {
    return this.session !== null;
  }

  /** Next offset to apply; null when not held or before the first record. */
  get next(): bigint | null {
    return this.session?.next ?? null;
  }

  /** Alerts below this matches offset are not emitted again. */
  get mutedBelow(): bigint {
    return this.session?.mutedBelow ?? 0n;
  }

  get outboxSize(): number {
    return (this.session?.fresh.length ?? 0) + (this.session?.pending.length ?? 0);
  }

  get freshCount(): number {
    const session = this.session;
    return session === null ? 0 : session.fresh.length + session.engine.chainCount();
  }

  get pendingCount(): number {
    return this.session?.pending.length ?? 0;
  }

  get dirtyCount(): number {
    return this.session?.engine.dirtyCount() ?? 0;
  }

  get needsFlush(): boolean {
    const s = this.session;
    return s !== null && (s.touched || this.freshCount > 0 || s.acknowledged > 0 || s.engine.dirtyCount() > 0);
  }

  /**
   * Takes the partition. Returns where to read from: behind the state, or where a rebuild must begin (X12); null = from the earliest
   * offset of the log.
   */
  async acquire(options: { readonly forget?: boolean } = {}): Promise<bigint | null> {
    const { partition, store, progress } = this.deps;
    this.session = null;
    const held = await store.acquire(partition, {
      nonce: this.deps.nonce(),
      topicId: this.deps.topicId(),
      ...(options.forget === undefined ? {} : { forget: options.forget }),
    });
    const base = held.status === 'other_topic' ? null : await progress.committed(partition);
    const rebuildFrom = held.next === null ? (base?.rebuildFrom ?? null) : null;
    const engine = await this.deps.openEngine({
      rebuildFrom,
      meta: held.engine,
      groups: store.groups(partition, held.fence),
      groupCount: held.groupCount,
    });
    this.session = {
      fence: held.fence,
      engine,
      next: rebuildFrom === null ? held.next : BigInt(rebuildFrom.offset),
      mutedBelow: base?.offset ?? 0n,
      fresh: [],
      pending: held.outbox.map(decodeOutboxRecord),
      acknowledged: 0,
      flushed: null,
      touched: false,
      committed: base?.offset ?? null,
    };
    this.deps.observe?.acquired?.(held, this.session.mutedBelow);
    return this.session.next;
  }

  /** A batch that begins here leaves nothing out: the log has no holes, so one means that records were lost on the way. */
  begins(offset: bigint): void {
    const { next } = this.held();
    invariant(next === null || offset <= next, 'records of security.matches are missing', {
      partition: this.partition,
      expected: next ?? -1n,
      offset,
    });
  }

  /**
   * Brings the cold groups that the records need, from the store; they stay in memory until the next call. To be called before the
   * first of them is applied. Throws `OwnershipLostError` and drops the memory unless the store has every one of them.
   */
  async prepare(records: readonly MatchesRecord[]): Promise<void> {
    const session = this.held();
    const { engine, fence, next } = session;
    const ids = engine.need(next === null ? records : records.filter(({ offset }) => offset >= next));
    for (let at = 0; at < ids.length; at += READ_CHUNK) {
      const chunk = ids.slice(at, at + READ_CHUNK);
      const blobs = await this.deps.store.read(this.partition, fence, chunk).catch((error: unknown) => {
        throw this.lose('unknown', error);
      });
      invariant(this.session === session, 'two calls of one owner overlapped', { partition: this.partition });
      engine.bring(blobs);
      this.deps.observe?.brought?.(chunk.length);
    }
  }

  /**
   * Applies one record; an offset already applied is passed over (`false`). Offsets within a batch may jump over
   * records that were dead letters; whether stage A's records are complete is told by their own chain (X5).
   */
  apply(record: MatchesRecord): boolean {
    const session = this.held();
    if (session.next !== null && record.offset < session.next) return false;
    // Below the base every alert is acknowledged, and the log may begin with stale copies of ranges (X12).
    const rebuilding = record.offset < session.mutedBelow;
    const produced = session.engine.apply(record, { rebuilding });
    // Not spread: a watermark that jumps ends any number of alerts at once.
    if (!rebuilding) for (const one of produced) session.fresh.push(one);
    session.next = record.offset + 1n;
    session.touched = true;
    this.deps.faultPoint('b:after-apply');
    return true;
  }

  /** Everything below `next` is done, dead letters included. */
  advanceTo(next: bigint): void {
    const session = this.held();
    if (session.next !== null && next <= session.next) return;
    session.next = next;
    session.touched = true;
  }

  /** One atomic flush. Throws `OwnershipLostError` and drops the memory unless the store says it is applied. */
  async flush(): Promise<void> {
    const session = this.held();
    if (session.next === null) return;
    const next = session.next;
    // Below the base the chain hits are acknowledged too.
    if (next > session.mutedBelow) session.fresh = session.fresh.concat(session.engine.takeChained(next));
    const fresh = session.fresh;
    const trim = session.acknowledged;
    const rebuildFrom = session.engine.rebuildFrom();
    const groups = session.engine.takeDirty();
    this.deps.faultPoint('b:before-flush');
    const outcome = await this.deps.store
      .flush({
        partition: this.partition,
        fence: session.fence,
        next,
        engine: session.engine.meta(),
        trim,
        groups,
        outbox: fresh.map(encodeOutboxRecord),
      })
      .catch((error: unknown) => {
        throw this.lose('unknown', error);
      });
    if (outcome !== 'ok') throw this.lose(outcome);
    invariant(this.session === session, 'two calls of one owner overlapped', { partition: this.partition });
    session.fence = { ...session.fence, flushSeq: session.fence.flushSeq + 1 };
    session.pending = session.pending.concat(fresh);
    session.fresh = [];
    session.acknowledged -= trim;
    session.flushed = { offset: next, rebuildFrom };
    session.touched = false;
    this.deps.observe?.flushed?.(groups.length, fresh.length);
    this.deps.faultPoint('b:after-flush');
  }

  /** Produces what is in the store's outbox, in order, and waits for the acknowledgements. Rejects: call again. */
  async emit(): Promise<void> {
    const session = this.held();
    while (session.pending.length > 0) {
      const chunk = session.pending.slice(0, EMIT_CHUNK);
      await this.deps.outlet.emit(chunk);
      if (this.session !== session) return;
      session.pending.splice(0, chunk.length);
      session.acknowledged += chunk.length;
      this.deps.observe?.emitted?.(chunk.length);
      this.deps.faultPoint('b:after-emit');
    }
  }

  /** Commits the offset up to which every alert is acknowledged (X12). Lags behind; never ahead. */
  async commit(): Promise<void> {
    const session = this.session;
    if (session === null || session.pending.length > 0 || session.flushed === null) return;
    const base = session.flushed;
    if (session.committed !== null && session.committed >= base.offset) return;
    this.deps.faultPoint('b:before-commit');
    await this.deps.progress.commit(this.partition, base);
    session.committed = base.offset;
  }

  /** Forgets the memory; nothing is written. */
  release(): void {
    this.session = null;
  }

  private lose(outcome: string, cause?: unknown): OwnershipLostError {
    this.session = null;
    this.deps.observe?.lost?.(outcome);
    return new OwnershipLostError(this.partition, outcome, cause);
  }

  private held(): Session {
    if (this.session === null) throw new OwnershipLostError(this.partition, 'not_held');
    return this.session;
  }
}
