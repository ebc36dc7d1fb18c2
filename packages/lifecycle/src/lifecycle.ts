import { InvariantError, TracehoundError } from '@tracehound/event-model';

/** The little this package needs of a logger; `@tracehound/telemetry` gives one. */
export type LifecycleLogger = {
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
};

export type Resource = {
  readonly start?: () => Promise<void> | void;
  readonly stop?: () => Promise<void> | void;
  /** Upper bound of `stop`; default 5,000 ms. A resource that is slower is left behind, logged, and the rest still stops. */
  readonly stopTimeoutMs?: number;
};

export type Lifecycle = {
  /** Registers a resource; only before `start`. */
  add(name: string, resource: Resource): Lifecycle;
  /** Starts in order. When one fails, those already started stop in reverse order and the error is thrown. */
  start(): Promise<void>;
  /** Stops in reverse order, each within its bound. Idempotent: a second call gets the same promise. Never rejects. */
  stop(): Promise<void>;
};

const STOP_TIMEOUT_MS_DEFAULT = 5_000;

/** A last-in first-out stack of named resources. `stop` during `start` waits for the start to end first. */
export function createLifecycle(logger: LifecycleLogger): Lifecycle {
  const resources: { name: string; resource: Resource }[] = [];
  const started: { name: string; resource: Resource }[] = [];
  let starting: Promise<void> | null = null;
  let stopping: Promise<void> | null = null;

  async function startAll(): Promise<void> {
    for (const entry of resources) {
      if (stopping)
        throw new TracehoundError('stopped while starting', {
          code: 'SEC_LIFECYCLE_STOPPED',
          category: 'permanent',
          retriable: false,
          fields: { resource: entry.name },
        });
      try {
        await entry.resource.start?.();
        started.push(entry);
      } catch (error) {
        logger.error('start failed, rolling back', { resource: entry.name, err: error });
        await stopStarted();
        throw error;
      }
    }
  }

  async function stopStarted(): Promise<void> {
    for (let entry = started.pop(); entry; entry = started.pop()) {
      const bound = entry.resource.stopTimeoutMs ?? STOP_TIMEOUT_MS_DEFAULT;
      try {
        const done = await within(bound, entry.resource.stop);
        if (!done) logger.error('stop took too long, going on', { resource: entry.name, boundMs: bound });
      } catch (error) {
        logger.error('stop failed, going on', { resource: entry.name, err: error });
      }
    }
  }

  const lifecycle: Lifecycle = {
    add(name, resource) {
      if (starting) throw new InvariantError('a resource was added after start', { resource: name });
      resources.push({ name, resource });
      return lifecycle;
    },
    start() {
      starting ??= startAll();
      return starting;
    },
    stop() {
      stopping ??= (async () => {
        // A failed start has rolled back by itself; its error belongs to the caller of `start`.
        await starting?.catch(() => undefined);
        await stopStarted();
      })();
      return stopping;
    },
  };
  return lifecycle;
}

/** True when `work` ended within `ms`; it keeps running otherwise, as nothing can interrupt it. */
async function within(ms: number, work: (() => Promise<void> | void) | undefined): Promise<boolean> {
  if (!work) return true;
  let timer: NodeJS.Timeout | undefined;
  const bound = new Promise<false>((resolve) => {
    timer = setTimeout(resolve, ms, false);
  });
  try {
    return await Promise.race([Promise.resolve(work()).then(() => true as const), bound]);
  } finally {
    clearTimeout(timer);
  }
}
