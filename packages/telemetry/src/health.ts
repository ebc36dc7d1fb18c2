/** Answer of a health endpoint; `detail` says why in words, without addresses of users or payloads. */
export type HealthReport = {
  readonly ok: boolean;
  readonly status: 'ok' | 'unavailable';
  readonly checks: readonly { readonly name: string; readonly ok: boolean; readonly detail: string }[];
};

export type HealthCheckOptions = {
  /** Pause between two runs; default 5,000 ms. */
  readonly everyMs?: number;
  /** A run that takes longer has failed; default 2,000 ms. */
  readonly timeoutMs?: number;
  /** `ready` (default): take no traffic now. `live`: only a restart helps. */
  readonly kind?: 'ready' | 'live';
};

/** A check proves something (a produce, a query); its text is the detail, its error the reason why not. */
export type HealthCheck = () => Promise<string | void>;

export type Health = {
  /** Runs `check` in the background from `start` on; until its first answer it is not ok. Takes the place of one of the same name. */
  check(name: string, check: HealthCheck, options?: HealthCheckOptions): Health;
  /** A state that is known without asking: `set('drain', false, 'draining')`. */
  set(name: string, ok: boolean, detail: string): void;
  start(): void;
  stop(): void;
  /** From memory, never waits. A check whose last answer is older than three periods counts as failed. */
  ready(): HealthReport;
  live(): HealthReport;
};

type Entry = {
  readonly kind: 'ready' | 'live';
  /** Oldest age of an answer that still counts; null for states that are set. */
  readonly staleMs: number | null;
  ok: boolean;
  detail: string;
  answeredAtMs: number;
};

const EVERY_MS_DEFAULT = 5_000;
const TIMEOUT_MS_DEFAULT = 2_000;

/**
 * Health of one process. `onChange` is called once per change of a check, so that a degraded state is logged once.
 */
export function createHealth(
  options: { now?: () => number; onChange?: (name: string, ok: boolean, detail: string) => void } = {},
): Health {
  const now = options.now ?? (() => performance.now());
  const entries = new Map<string, Entry>();
  const runners = new Map<string, () => Promise<void>>();
  const timers = new Set<NodeJS.Timeout>();
  let running = false;

  function record(entry: Entry, name: string, ok: boolean, detail: string): void {
    const changed = entry.ok !== ok;
    entry.ok = ok;
    entry.detail = detail;
    entry.answeredAtMs = now();
    if (changed) options.onChange?.(name, ok, detail);
  }

  function report(kind: 'ready' | 'live'): HealthReport {
    const checks: { name: string; ok: boolean; detail: string }[] = [];
    for (const [name, entry] of entries) {
      if (entry.kind !== kind) continue;
      const stale = entry.ok && entry.staleMs !== null && now() - entry.answeredAtMs > entry.staleMs;
      checks.push({ name, ok: entry.ok && !stale, detail: stale ? 'the check has not answered lately' : entry.detail });
    }
    const ok = checks.every((check) => check.ok);
    return { ok, status: ok ? 'ok' : 'unavailable', checks };
  }

  const health: Health = {
    check(name, check, { everyMs = EVERY_MS_DEFAULT, timeoutMs = TIMEOUT_MS_DEFAULT, kind = 'ready' } = {}) {
      const entry: Entry = {
        kind,
        staleMs: 3 * everyMs + timeoutMs,
        ok: false,
        detail: 'not checked yet',
        answeredAtMs: now(),
      };
      entries.set(name, entry);
      const isReplaced = (): boolean => entries.get(name) !== entry;
      const run = async (): Promise<void> => {
        if (isReplaced()) return;
        const [ok, detail] = await bounded(check, timeoutMs).then(
          (text) => [true, text ?? ''] as const,
          (error: unknown) => [false, error instanceof Error ? error.message : 'the check failed'] as const,
        );
        if (isReplaced()) return;
        record(entry, name, ok, detail);
        if (!running) return;
        const timer = setTimeout(() => {
          timers.delete(timer);
          void run();
        }, everyMs);
        timer.unref();
        timers.add(timer);
      };
      runners.set(name, run);
      if (running) void run();
      return health;
    },
    set(name, ok, detail) {
      const entry: Entry = entries.get(name) ?? { kind: 'ready', staleMs: null, ok: true, detail, answeredAtMs: now() };
      entries.set(name, entry);
      record(entry, name, ok, detail);
    },
    start() {
      if (running) return;
      running = true;
      for (const run of runners.values()) void run();
    },
    stop() {
      running = false;
      for (const timer of timers) clearTimeout(timer);
      timers.clear();
    },
    ready: () => report('ready'),
    live: () => report('live'),
  };
  return health;
}

async function bounded(check: HealthCheck, timeoutMs: number): Promise<string | void> {
  let timer: NodeJS.Timeout | undefined;
  const bound = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    return await Promise.race([check(), bound]);
  } finally {
    clearTimeout(timer);
  }
}
