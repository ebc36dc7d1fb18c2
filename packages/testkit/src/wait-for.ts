import { setTimeout as sleep } from 'node:timers/promises';
import { TracehoundError } from '@tracehound/event-model';

export type WaitForOptions = {
  /** What is awaited, in words; it is the message of the failure. */
  readonly what: string;
  /** Milliseconds until the wait is given up (default 15,000). */
  readonly timeoutMs?: number;
  /** Milliseconds between two looks (default 25). */
  readonly intervalMs?: number;
};

/** Thrown by `waitFor`: names what was awaited, for how long, and what the last look saw or threw. */
export class WaitTimeoutError extends TracehoundError {
  constructor(options: { what: string; timeoutMs: number; last: unknown }) {
    const last = options.last instanceof Error ? options.last.message : describeValue(options.last);
    super(`waited ${options.timeoutMs} ms in vain for ${options.what}; the last look gave: ${last}`, {
      code: 'SEC_TESTKIT_WAIT_TIMEOUT',
      category: 'timeout',
      retriable: true,
      ...(options.last instanceof Error ? { cause: options.last } : {}),
    });
  }
}

/**
 * Looks until `look` gives something other than `undefined`, `null` or `false`, and returns it. A look that throws
 * counts as "not yet"; its error is kept for the failure. Looks never overlap.
 */
export async function waitFor<T>(
  look: () => T | Promise<T>,
  options: WaitForOptions,
): Promise<Exclude<T, undefined | null | false>> {
  const timeoutMs = options.timeoutMs ?? 15_000;
  const deadline = performance.now() + timeoutMs;
  let last: unknown;
  for (;;) {
    try {
      const seen = await look();
      if (isPresent(seen)) return seen;
      last = seen;
    } catch (error) {
      last = error;
    }
    if (performance.now() >= deadline) throw new WaitTimeoutError({ what: options.what, timeoutMs, last });
    await sleep(options.intervalMs ?? 25);
  }
}

function isPresent<T>(seen: T): seen is Exclude<T, undefined | null | false> {
  return seen !== undefined && seen !== null && seen !== false;
}

function describeValue(value: unknown): string {
  try {
    return (
      JSON.stringify(value, (_key, inner: unknown) => (typeof inner === 'bigint' ? `${inner}` : inner)) ?? 'undefined'
    );
  } catch {
    return String(value);
  }
}
