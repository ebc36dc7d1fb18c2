import { describe, expect, test } from 'vitest';
import type { PartitionOwner } from '../domain/partition-owner.ts';
import { FlushPolicy } from './flush.ts';

const OWNER = { freshCount: 1, pendingCount: 0, dirtyCount: 0, needsFlush: true } as PartitionOwner;

/** The pause that alerts wait out after a flush that took so long, ms. */
async function pauseAfter(tookMs: number, isSaturated: boolean): Promise<number> {
  let nowMs = 1_000;
  const policy = new FlushPolicy({
    clock: { steadyMs: () => nowMs },
    sleep: async (ms) => void (nowMs += ms),
    flushMs: 150,
    flushGapMs: 10,
    dirtyGroupsMax: 2_000,
    commitMs: 1_000,
    isSaturated: () => isSaturated,
  });
  await policy.gap();
  nowMs += tookMs;
  policy.flushed();
  const flushedAtMs = nowMs;
  while (!policy.isDueAtEnd(OWNER)) nowMs++;
  expect(policy.isDue(OWNER)).toBe(true);
  return nowMs - flushedAtMs;
}

/** Changed groups without an alert at which a flush is due. */
function dueFrom(isSaturated: boolean): number {
  const policy = new FlushPolicy({
    clock: { steadyMs: () => 0 },
    sleep: async () => undefined,
    flushMs: 150,
    flushGapMs: 10,
    dirtyGroupsMax: 20,
    commitMs: 1_000,
    isSaturated: () => isSaturated,
  });
  let dirtyCount = 0;
  while (!policy.isDue({ ...OWNER, freshCount: 0, dirtyCount } as PartitionOwner)) dirtyCount++;
  return dirtyCount;
}

describe('FlushPolicy', () => {
  test('changed groups are flushed at their bound, with no time to spare at four times that', () => {
    expect([dueFrom(false), dueFrom(true)]).toEqual([20, 80]);
  });

  test.each([
    ['the least gap after a quick one', 1, false, 10],
    ['as long as it took, with time to spare', 12, false, 12],
    ['nine times, with none', 12, true, 108],
    ['the pause of a flush without alerts at most', 60, true, 150],
  ])('alerts wait %s', async (_, tookMs, isSaturated, pauseMs) => {
    expect(await pauseAfter(tookMs, isSaturated)).toBe(pauseMs);
  });
});
