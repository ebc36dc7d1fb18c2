import { RowRefusedError } from '../errors.ts';
import type { AppendOutcome, AuditStore, Clock, PartitionDraft } from '../ports.ts';

export type CommitStoreOptions = {
  readonly store: AuditStore;
  readonly clock: Clock;
  /** A transaction starts at once when this many rows wait. */
  readonly batchRowsMax: number;
  /** Otherwise it starts this long after the first waiting draft. */
  readonly lingerMs: number;
  /** Transactions at the same time. */
  readonly writersMax: number;
  /** Called per transaction with its duration; for metrics. */
  readonly onTransaction: (durationMs: number, rows: number) => void;
};

type Waiting = {
  readonly draft: PartitionDraft;
  readonly resolve: (outcome: AppendOutcome) => void;
  readonly reject: (error: unknown) => void;
};

/**
 * Group commit: drafts of several partitions share one transaction (`copy` and `commitStore`), so that many slow
 * partitions cost one flush of the write-ahead log, not one each. A partition has at most one draft here at a time,
 * hence order within it needs no care. A refused row fails only the partition it belongs to.
 */
export function createCommitStoreStage(options: CommitStoreOptions) {
  const { store, clock } = options;
  const queue: Waiting[] = [];
  let queuedRows = 0;
  let writers = 0;
  let isLingering = false;

  function start(): void {
    while (queue.length > 0 && writers < options.writersMax) {
      const group = takeGroup();
      writers += 1;
      void write(group).finally(() => {
        writers -= 1;
        // What has come meanwhile waited for a writer and does not linger again.
        start();
      });
    }
  }

  function takeGroup(): Waiting[] {
    const group: Waiting[] = [];
    let rows = 0;
    while (queue.length > 0 && (group.length === 0 || rows < options.batchRowsMax)) {
      const waiting = queue.shift() as Waiting; // The queue is not empty.
      group.push(waiting);
      rows += waiting.draft.rows.length;
    }
    queuedRows -= rows;
    return group;
  }

  /** Never rejects: each waiting draft gets its own answer. */
  async function write(group: readonly Waiting[]): Promise<void> {
    const startedAtMs = clock.steadyNow();
    try {
      const outcomes = await store.append(group.map((waiting) => waiting.draft));
      group.forEach((waiting, index) => {
        waiting.resolve(outcomes[index] as AppendOutcome); // One outcome per draft, by contract.
      });
      options.onTransaction(
        clock.steadyNow() - startedAtMs,
        group.reduce((sum, waiting) => sum + waiting.draft.rows.length, 0),
      );
    } catch (error) {
      if (error instanceof RowRefusedError && group.length > 1) {
        for (const waiting of group) await write([waiting]);
        return;
      }
      for (const waiting of group) waiting.reject(error);
    }
  }

  return function commitStore(draft: PartitionDraft): Promise<AppendOutcome> {
    return new Promise((resolve, reject) => {
      queue.push({ draft, resolve, reject });
      queuedRows += draft.rows.length;
      if (queuedRows >= options.batchRowsMax || options.lingerMs === 0) {
        start();
      } else if (!isLingering) {
        isLingering = true;
        clock.after(options.lingerMs, () => {
          isLingering = false;
          start();
        });
      }
    });
  };
}
