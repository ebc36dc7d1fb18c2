/** Bounds of the retry delays here: 200 ms, doubling, at most 10 s, each cut by a random part of up to a half. */
export const BACKOFF_MS_MIN = 200;
export const BACKOFF_MS_MAX = 10_000;

/** Delay before the n-th retry (n >= 1): exponential with jitter and a ceiling. `random` in [0, 1). */
export function backoffMs(attempt: number, random: number = Math.random()): number {
  const full = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** Math.min(attempt - 1, 16));
  return Math.round(full * (1 - random / 2));
}

/** A sleep that ends early when aborted; it never rejects and never keeps the process alive after the abort. */
export function sleepMs(durationMs: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, durationMs);
    signal?.addEventListener('abort', end, { once: true });
  });
}

/** `late` stands for "no answer within the time". The promise itself goes on; its rejection is swallowed. */
export async function withinMs<T>(promise: Promise<T>, limitMs: number, late: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(late()), limitMs);
  });
  promise.catch(() => undefined);
  try {
    return await Promise.race([promise, limit]);
  } finally {
    clearTimeout(timer);
  }
}
