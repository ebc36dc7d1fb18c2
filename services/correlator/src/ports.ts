/**
 * What the two stages ask of the world. Adapters for Kafka and Redis lie in `adapters/`, in-memory ones beside
 * them; both are held to one contract suite.
 */
import type { LogMark } from '@tracehound/correlation';
import type { SpanContext } from '@tracehound/event-model';

/** No decision about events, windows or alerts may read a clock of this machine (X4). */
export type Clock = {
  /** Wall clock, ms UTC; may step either way at any time. For gauges and the time in a dead letter. */
  readonly nowMs: () => number;
  /** Ms since an unknown start; never steps. For everything that waits or measures. */
  readonly steadyMs: () => number;
};

/** Proof of ownership of one matches partition: every flush compares and swaps on all three (X8). */
export type Fence = {
  /** Grows by one per acquisition, as decimal text. Lost with the server, hence the nonce. */
  readonly epoch: string;
  /** Random per acquisition, so that an epoch counted again from one after a loss cannot be mistaken. */
  readonly nonce: string;
  /** Grows by one per flush within the partition's life. */
  readonly flushSeq: number;
};

/**
 * What `acquire` found. `held`: state to load. `empty`: nothing (first start, or the server lost everything).
 * `other_topic`: state of a deleted topic, dropped. `partial`: some keys were lost, the rest dropped.
 */
export type AcquiredStatus = 'held' | 'empty' | 'other_topic' | 'partial';

export type AcquiredState = {
  readonly fence: Fence;
  readonly status: AcquiredStatus;
  /** Next matches offset to apply; null unless `held`. Authoritative: the Kafka commit is for muting and lag only. */
  readonly next: bigint | null;
  /** Engine's partition meta (marks, watermarks, counters); null unless `held`. */
  readonly engine: Buffer | null;
  readonly groupCount: number;
  /** Records of accepted flushes whose acknowledgement is not recorded, oldest first. */
  readonly outbox: readonly Buffer[];
};

/** Absolute new blob of a group; null deletes it. */
export type ChangedGroup = readonly [groupId: string, blob: Buffer | null];

export type FlushRequest = {
  readonly partition: number;
  readonly fence: Fence;
  readonly next: bigint;
  readonly engine: Buffer;
  /** Outbox entries from the head that are acknowledged and may go. */
  readonly trim: number;
  /** No group twice, but for one that is deleted twice. */
  readonly groups: Iterable<ChangedGroup>;
  readonly outbox: readonly Buffer[];
};

/** Groups of a state: id and blob. */
export type GroupPage = readonly (readonly [id: string, blob: Buffer])[];

/** `fenced`: owned by another (or rolled back). `missing`: the server has lost the partition. Both write nothing. */
export type FlushOutcome = 'ok' | 'fenced' | 'missing';

/**
 * Durable state of the matches partitions. Every call may reject with the effect applied, not applied, or still to
 * come (a request stuck in a socket lands later); the fence makes all three safe.
 */
export type StateStore = {
  /** Takes a new epoch *before* reading anything. `forget` drops the state, so that it is rebuilt from the log. */
  acquire(
    partition: number,
    options: { readonly nonce: string; readonly topicId: string; readonly forget?: boolean },
  ): Promise<AcquiredState>;
  /**
   * All groups of the state that `acquire` found, page by page, in any order, possibly some twice. Throws as soon as the fence is
   * no longer the caller's: pages of two timelines must not mix.
   */
  groups(partition: number, fence: Fence): AsyncIterable<GroupPage>;
  /**
   * Single groups as the last flush left them, in the order of the ids. Rejects as soon as the fence is no longer the caller's, or
   * when one of them is not there: the store has lost a part of the state.
   */
  read(partition: number, fence: Fence, groupIds: readonly string[]): Promise<readonly Buffer[]>;
  flush(request: FlushRequest): Promise<FlushOutcome>;
  /** Proves that the store answers and keeps what it is given; rejects with the reason otherwise. */
  ping(): Promise<void>;
};

/**
 * One record of the outbox: which lane, record key and value, final bytes. `chain`: the key is the partition of security.matches;
 * `shadow`: an alert of a rule on trial.
 */
export type OutboxRecord = {
  readonly lane: 'alerts' | 'late' | 'chain' | 'shadow';
  readonly key: string;
  readonly value: Buffer;
};

/** Where alerts go. In order; resolves when every record is acknowledged; duplicates after a rejection are fine (X9). */
export type AlertOutlet = { emit(records: readonly OutboxRecord[]): Promise<void> };

/**
 * B's base (X12): every alert below the matches offset is acknowledged, and the state at it is what the log from `rebuildFrom` on
 * makes of an empty one. Null: the whole log.
 */
export type EmittedBase = { readonly offset: bigint; readonly rebuildFrom: LogMark | null };

/** Keeps the base outside the state, for when that is lost. */
export type EmittedProgress = {
  committed(partition: number): Promise<EmittedBase | null>;
  commit(partition: number, base: EmittedBase): Promise<void>;
};

/** Appends to matches partitions; resolves when acknowledged, rejects when that is not known (then: send again). */
export type MatchesAppender = {
  /** `contexts`: per value the span it came from, for its `traceparent` header; absent when nothing is traced. */
  append(targetPartition: number, values: readonly Buffer[], contexts?: readonly (SpanContext | null)[]): Promise<void>;
};
