import { BacklogFullError, isStoreAway, PartitionFencedError, ToldMeanwhileError } from '../errors.ts';
import type { ConsumedAlert, LogPosition } from '../ports.ts';
import type { DirectNotices } from './direct-notices.ts';
import { type IntakeRunDeps, storeAlerts } from './intake-run.ts';

/** One partition of `security.alerts` or `security.findings` while this process has it. */
export type PartitionIntake = {
  /** Takes the fence; null = read from the beginning of the log. Rejects while the store is away. */
  acquire(): Promise<bigint | null>;
  /**
   * Stores the alerts, in order and exactly once in effect, and returns the next offset to commit; null while the store
   * is away: then they wait in memory (bounded) and the partition goes on, so that newer ones can be told in time.
   */
  take(alerts: readonly ConsumedAlert[]): Promise<bigint | null>;
  /** Tries again what waits. Returns the offset to commit when it succeeded, null when nothing did. */
  retry(): Promise<bigint | null>;
  /** Thin notices for what has waited past its deadline. */
  tellOverdue(): Promise<void>;
  readonly waiting: number;
  /** Why the store has not taken what waits; null while it takes all. */
  readonly trouble: unknown;
  /** Next offset the store expects: what may be committed, also when the run that stored it was not waited for. */
  readonly stored: bigint | null;
};

/** Alerts per transaction: bounds its time (about 10 statements each) and how long the slots stay locked. */
const TRANSACTION_ALERTS_MAX = 100;

/** Alerts that wait in memory for the store, per partition; at about 4 kB each this is 20 MB. */
const BACKLOG_ALERTS_MAX = 5_000;

/** A transaction that takes longer than this counts as a store that is away. */
const SLOW_STORE_MS = 2_000;

/**
 * No alert is told from memory for as long while its transaction commits: it would be told again, under another id, from
 * what is stored. A session ends a statement after 10 s, so an answer that takes longer does not come.
 */
const COMMIT_MS_MAX = 10_000;

/** Direct notices under way at once, and the pause after one that no receiver took. */
const TELL_CONCURRENCY = 8;
const TELL_AGAIN_MS = 1_000;

export function createPartitionIntake(
  partition: Omit<LogPosition, 'offset'>,
  deps: IntakeRunDeps & {
    readonly owner: string;
    readonly direct: DirectNotices;
  },
): PartitionIntake {
  let fence: bigint | null = null;
  /** Next offset the store expects; null = none stored yet. */
  let position: bigint | null = null;
  let backlog: ConsumedAlert[] = [];
  /** Next offset to take from the log: what comes below it was taken already. */
  let nextTaken = 0n;
  let tail: Promise<unknown> = Promise.resolve();
  let trouble: unknown = null;
  let startedAtMs: number | null = null;
  /** Since when a transaction with the alerts below the offset is in its last steps. */
  let committing: { readonly below: bigint; readonly sinceMs: number } | null = null;
  const telling = new Map<bigint, Promise<void>>();
  const nextTellMs = new WeakMap<ConsumedAlert, number>();
  /** Offsets told directly and not stored yet; they survive a new assignment, which reads the records again. */
  const toldOffsets = new Set<bigint>();

  /** Work on the partition in single file: a batch of the consumer and a retry of the timer must not overlap. */
  function exclusive<T>(work: () => Promise<T>): Promise<T> {
    const result = tail.then(work, work);
    tail = result.catch(() => undefined);
    return result;
  }

  async function acquire(): Promise<bigint | null> {
    fence = null;
    const acquired = await deps.store.acquirePartition(partition, deps.owner);
    fence = acquired.fence;
    position = acquired.nextOffset;
    // A commit whose answer was lost may have stored some of them.
    backlog = backlog.filter((alert) => position === null || alert.position.offset >= position);
    for (const offset of toldOffsets) if (position !== null && offset < position) toldOffsets.delete(offset);
    return position;
  }

  async function storeChunk(): Promise<void> {
    const chunk = backlog.slice(0, TRANSACTION_ALERTS_MAX);
    const last = chunk.at(-1);
    if (!last || fence === null) return;
    const to = last.position.offset + 1n;
    const change = { topicId: partition.topicId, partition: partition.partition, fence, from: position, to };
    let forget: () => void = () => undefined;
    try {
      await storeAlerts(deps, {
        before: async (tx) => {
          if (!(await tx.advance(change))) throw new PartitionFencedError(partition.partition);
          return chunk;
        },
        after: async (tx) => {
          committing = { below: to, sinceMs: deps.now() };
          // Each is over within the time-out of its receiver.
          await Promise.all(chunk.flatMap(({ position: { offset } }) => telling.get(offset) ?? []));
          const isTold = chunk.some((alert) => !alert.toldDirectly && toldOffsets.has(alert.position.offset));
          if (isTold) throw new ToldMeanwhileError(partition.partition);
          forget = await deps.direct.save(tx);
        },
      });
    } finally {
      committing = null;
    }
    forget();
    position = to;
    backlog = backlog.slice(chunk.length);
    for (const alert of chunk) toldOffsets.delete(alert.position.offset);
  }

  async function drain(): Promise<bigint | null> {
    for (let fencedTimes = 0; backlog.length > 0; ) {
      startedAtMs = deps.now();
      try {
        if (fence === null) await acquire();
        await storeChunk();
        trouble = null;
      } catch (error) {
        // Rolled back, and each alert is told at most once: the next run knows what was told.
        if (error instanceof ToldMeanwhileError) continue;
        // What the store knows is uncertain now: the next try asks it, under a new fence.
        fence = null;
        if (isStoreAway(error)) {
          trouble = error;
          return null;
        }
        if (!(error instanceof PartitionFencedError) || ++fencedTimes > 1) throw error;
      } finally {
        startedAtMs = null;
      }
    }
    return position;
  }

  function isStoreSlow(): boolean {
    return startedAtMs !== null && deps.now() - startedAtMs >= SLOW_STORE_MS;
  }

  function isCommitting({ position: { offset } }: ConsumedAlert): boolean {
    return committing !== null && offset < committing.below && deps.now() - committing.sinceMs < COMMIT_MS_MAX;
  }

  async function tell(alert: ConsumedAlert): Promise<void> {
    // It may have been stored, or told, while others of its look were told.
    if (!backlog.includes(alert) || isCommitting(alert)) return;
    const { offset } = alert.position;
    const under = tellNow(alert).finally(() => telling.delete(offset));
    telling.set(
      offset,
      under.catch(() => undefined),
    );
    await under;
  }

  async function tellNow(alert: ConsumedAlert): Promise<void> {
    const result = await deps.direct.tell(alert);
    if (result === 'silent') nextTellMs.set(alert, Number.POSITIVE_INFINITY);
    if (result === 'failed') nextTellMs.set(alert, deps.now() + TELL_AGAIN_MS);
    // Stored while it was being sent: then there is nothing to remember.
    if (result !== 'sent' || !backlog.includes(alert)) return;
    toldOffsets.add(alert.position.offset);
    backlog = backlog.map((waiting) => (waiting === alert ? { ...waiting, toldDirectly: true } : waiting));
  }

  return {
    get waiting() {
      return backlog.length;
    },
    get trouble() {
      return trouble;
    },
    get stored() {
      return fence === null ? null : position;
    },
    acquire: () =>
      exclusive(async () => {
        const next = await acquire();
        trouble = null;
        backlog = [];
        nextTaken = next ?? 0n;
        return next;
      }),
    take: async (alerts) => {
      const fresh = alerts
        .filter((alert) => alert.position.offset >= nextTaken)
        .map((alert) => (toldOffsets.has(alert.position.offset) ? { ...alert, toldDirectly: true } : alert));
      if (backlog.length + fresh.length > BACKLOG_ALERTS_MAX && backlog.length > 0) {
        throw new BacklogFullError(partition.partition, backlog.length);
      }
      backlog.push(...fresh);
      const last = fresh.at(-1);
      if (last) nextTaken = last.position.offset + 1n;
      // A store known to be away, or one that hangs, is left to the timer: the partition must not wait for it.
      return trouble !== null || isStoreSlow() ? null : within(SLOW_STORE_MS, exclusive(drain));
    },
    async retry() {
      // A run under way is not queued behind: it may hang, and the timer serves all partitions.
      if (backlog.length === 0 || startedAtMs !== null) return null;
      return within(SLOW_STORE_MS, exclusive(drain));
    },
    async tellOverdue() {
      if (trouble === null && !isStoreSlow()) return;
      const nowMs = deps.now();
      const overdue = backlog.filter(
        (alert) => !alert.toldDirectly && alert.deadlineMs <= nowMs && (nextTellMs.get(alert) ?? 0) <= nowMs,
      );
      for (let from = 0; from < overdue.length; from += TELL_CONCURRENCY) {
        await Promise.all(overdue.slice(from, from + TELL_CONCURRENCY).map(tell));
      }
    },
  };
}

/** The result of `work`, or null when it takes longer; it goes on, and its result is found by the next retry. */
async function within<T>(ms: number, work: Promise<T>): Promise<T | null> {
  let timer: NodeJS.Timeout | undefined;
  const bound = new Promise<null>((resolve) => {
    timer = setTimeout(resolve, ms, null);
  });
  try {
    return await Promise.race([work, bound]);
  } finally {
    clearTimeout(timer);
  }
}
