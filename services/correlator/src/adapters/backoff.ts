import { setTimeout as sleep } from 'node:timers/promises';

const FIRST_MS = 50;
const CEILING_MS = 5_000;

/** Waits before the n-th repetition: exponential with full jitter above half, 5 s at most. Rejects when aborted. */
export async function backoff(attempt: number, signal: AbortSignal): Promise<void> {
  const fullMs = Math.min(FIRST_MS * 2 ** Math.min(attempt - 1, 10), CEILING_MS);
  await sleep(fullMs / 2 + (Math.random() * fullMs) / 2, undefined, { signal, ref: false });
}
