import { TracehoundError } from '@tracehound/event-model';
import { describe, expect, it } from 'vitest';
import { memoryLog } from './memory-log.fixture.ts';
import { type ReplayProgress, readAll, stopHook } from './read-all.ts';

const RECORDS = 10_000;
const log = () =>
  memoryLog(
    2,
    Array.from({ length: RECORDS }, (_, index) => [index % 2, index, 1] as const),
  );
const at = { toMs: Number.POSITIVE_INFINITY, now: Date.now };

describe('reading a range', () => {
  it('tells how far it is by offsets, and takes the line away', async () => {
    const { kafka, parts } = await log();
    const seen: (ReplayProgress | 'clear')[] = [];
    const progress = { update: (state: ReplayProgress) => void seen.push(state), clear: () => void seen.push('clear') };
    // Half of the range lies before it: a replay that starts in the middle.
    const later = parts.map((part) => ({ ...part, from: 500n }));
    expect(await readAll({ take: async () => {} }, { kafka, parts: later, ...at, progress })).toBe(true);
    expect(seen).toEqual([
      { records: 4_096, offsetsDone: 4_096, offsetsTotal: 9_000 },
      { records: 8_192, offsetsDone: 8_192, offsetsTotal: 9_000 },
      'clear',
    ]);
  });

  it('stops before the next record once the user wants an end', async () => {
    const { kafka, parts } = await log();
    const signal = Promise.withResolvers<void>();
    const stopped = stopHook(signal.promise);
    let taken = 0;
    const take = async (): Promise<void> => {
      if (++taken === 10) signal.resolve();
    };
    expect(await readAll({ take }, { kafka, parts, ...at, stopped })).toBe(false);
    expect(taken).toBe(10);
  });

  it('brings a record again that could not be taken for want of a server', async () => {
    const { kafka, parts } = await memoryLog(1, [
      [0, 1, 1],
      [0, 2, 1],
    ]);
    const taken: bigint[] = [];
    let isAway = true;
    const take = async ({ record }: { record: { offset: bigint } }): Promise<void> => {
      taken.push(record.offset);
      if (!isAway) return;
      isAway = false;
      throw new TracehoundError('away', { code: 'SEC_TEST_AWAY', category: 'network', retriable: true });
    };
    expect(await readAll({ take }, { kafka, parts, ...at })).toBe(true);
    expect(taken).toEqual([0n, 0n, 1n]);
  });
});
