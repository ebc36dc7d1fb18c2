/**
 * The time of the store, told between two of its answers by a clock that never steps. All alerters of a deployment pace
 * and stamp by it, because leases, retries and deadlines of one process are read by the others: the wall clock of a
 * machine may step, and differs from that of the next one.
 */
export type StoreClock = {
  /** Milliseconds UTC as the store last told them, for what others hold against their own clock: signatures, ages. */
  now(): number;
  /**
   * The same, but never going back: for what is waited for, and for the times stored beside it, so that no retry waits an
   * hour for a clock that was put back and no attempt ends before it began.
   */
  pace(): number;
  /** What the store has just said its clock shows. */
  follow(storeNowMs: number): void;
};

/** Before the first `follow` it tells `wallNow`. Both options in milliseconds; `steadyNow` must never go back. */
export function createStoreClock(options: {
  readonly wallNow: () => number;
  readonly steadyNow: () => number;
}): StoreClock {
  let offsetMs = options.wallNow() - options.steadyNow();
  let paceOffsetMs = offsetMs;
  let isFollowing = false;

  return {
    now: () => Math.round(options.steadyNow() + offsetMs),
    pace: () => Math.round(options.steadyNow() + paceOffsetMs),
    follow(storeNowMs) {
      offsetMs = storeNowMs - options.steadyNow();
      // Nothing was paced by the wall clock of a process that has not asked the store yet.
      paceOffsetMs = isFollowing ? Math.max(paceOffsetMs, offsetMs) : offsetMs;
      isFollowing = true;
    },
  };
}
