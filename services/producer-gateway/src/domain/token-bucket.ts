/**
 * One bucket per API key, by the generic cell rate algorithm: it stores the one instant at which the bucket would be
 * full again. Cost is known only after the body was read, so a request may drive the bucket into debt, and the next one
 * is refused until the debt is paid. In memory of this process: it protects the process, not a quota.
 */
export type TokenBuckets = {
  /** Milliseconds to wait before the next request; 0 = go on. */
  waitMs(key: string, nowMs: number): number;
  spend(key: string, tokens: number, nowMs: number): void;
};

/** Buckets that are full again carry no information and are dropped once there are this many (about 1 MB). */
const BUCKETS_MAX = 10_000;

export function createTokenBuckets(options: { readonly perSecond: number; readonly burst: number }): TokenBuckets {
  const fullAtMs = new Map<string, number>();
  const costMs = 1_000 / options.perSecond;
  const burstMs = options.burst * costMs;

  return {
    waitMs(key, nowMs) {
      return Math.max(0, (fullAtMs.get(key) ?? nowMs) - nowMs - burstMs);
    },
    spend(key, tokens, nowMs) {
      if (fullAtMs.size >= BUCKETS_MAX) {
        for (const [other, full] of fullAtMs) if (full <= nowMs) fullAtMs.delete(other);
      }
      fullAtMs.set(key, Math.max(nowMs, fullAtMs.get(key) ?? nowMs) + tokens * costMs);
    },
  };
}
