import { describe, expect, it } from 'vitest';
import { auditRow, draftOf, partitionId } from '../../test/audit-row.fixture.ts';
import { RowRefusedError } from '../errors.ts';
import type { AppendOutcome, AuditStore, PartitionDraft } from '../ports.ts';
import { createCommitStoreStage } from './commit-store.ts';

type Call = { readonly drafts: readonly PartitionDraft[]; resolve(): void; reject(error: unknown): void };

/** A store whose transactions end when the test says so, and a clock that fires when the test says so. */
function harness(options: { batchRowsMax?: number; writersMax?: number } = {}) {
  const calls: Call[] = [];
  const timers: (() => void)[] = [];
  const clock = { wallMs: 0, steadyMs: 0 };
  const durationsMs: number[] = [];
  const store: Pick<AuditStore, 'append'> = {
    append: (drafts) =>
      new Promise<readonly AppendOutcome[]>((resolve, reject) => {
        calls.push({
          drafts,
          resolve: () => resolve(drafts.map(() => ({ kind: 'committed', firstCopies: [] }))),
          reject,
        });
      }),
  };
  const commitStore = createCommitStoreStage({
    store: store as AuditStore, // The stage uses `append` only.
    clock: {
      now: () => clock.wallMs,
      steadyNow: () => clock.steadyMs,
      after: (_delayMs, work) => {
        timers.push(work);
        return () => undefined;
      },
    },
    batchRowsMax: options.batchRowsMax ?? 100,
    lingerMs: 20,
    writersMax: options.writersMax ?? 1,
    onTransaction: (durationMs) => durationsMs.push(durationMs),
  });
  const draft = (rows: number) =>
    draftOf(
      partitionId(),
      { fence: 1n, expected: 0 },
      Array.from({ length: rows }, (_, offset) => auditRow(offset)),
    );
  return {
    calls,
    timers,
    clock,
    durationsMs,
    commitStore,
    draft,
    tick: () => new Promise((resolve) => setImmediate(resolve)),
  };
}

describe('group commit', () => {
  it('puts the drafts of several partitions into one transaction after the linger', async () => {
    const { calls, timers, commitStore, draft, tick } = harness();
    const answers = [commitStore(draft(3)), commitStore(draft(4)), commitStore(draft(5))];
    await tick();
    expect([calls.length, timers.length]).toEqual([0, 1]);
    timers[0]?.();
    expect(calls.map((call) => call.drafts.length)).toEqual([3]);
    calls[0]?.resolve();
    expect((await Promise.all(answers)).map((answer) => answer.kind)).toEqual(['committed', 'committed', 'committed']);
  });

  it('starts at once when enough rows wait, and takes what came meanwhile without another linger', async () => {
    const { calls, commitStore, draft, tick } = harness({ batchRowsMax: 10 });
    const first = commitStore(draft(10));
    expect(calls).toHaveLength(1);
    const later = [commitStore(draft(6)), commitStore(draft(6)), commitStore(draft(6))];
    expect(calls).toHaveLength(1); // One writer.
    calls[0]?.resolve();
    await first;
    await tick();
    expect(calls[1]?.drafts).toHaveLength(2); // Enough rows; the third waits its turn.
    calls[1]?.resolve();
    await tick();
    calls[2]?.resolve();
    await Promise.all(later);
  });

  it.each([-3_600_000, 3_600_000])('a wall clock that steps by %i ms is no part of a duration', async (stepMs) => {
    const { calls, clock, durationsMs, commitStore, draft } = harness({ batchRowsMax: 1 });
    const answer = commitStore(draft(1));
    clock.wallMs += stepMs;
    clock.steadyMs += 7;
    calls[0]?.resolve();
    await answer;
    expect(durationsMs).toEqual([7]);
  });

  it('never runs more transactions than writers', async () => {
    const { calls, commitStore, draft } = harness({ batchRowsMax: 1, writersMax: 2 });
    void commitStore(draft(1));
    void commitStore(draft(1));
    void commitStore(draft(1));
    expect(calls).toHaveLength(2);
  });

  it('a refused row fails its own partition only', async () => {
    const { calls, timers, commitStore, draft, tick } = harness();
    const good = commitStore(draft(1));
    const bad = commitStore(draft(2));
    timers[0]?.();
    calls[0]?.reject(new RowRefusedError(undefined, '22021'));
    await tick();
    calls[1]?.resolve();
    await tick();
    calls[2]?.reject(new RowRefusedError(undefined, '22021'));
    await expect(good).resolves.toMatchObject({ kind: 'committed' });
    await expect(bad).rejects.toBeInstanceOf(RowRefusedError);
  });

  it('rejects all drafts of a transaction that failed for another reason', async () => {
    const { calls, timers, commitStore, draft } = harness();
    const answers = [commitStore(draft(1)), commitStore(draft(1))];
    timers[0]?.();
    calls[0]?.reject(new Error('away'));
    for (const answer of answers) await expect(answer).rejects.toThrow('away');
  });
});
