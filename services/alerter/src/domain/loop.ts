/** Work repeated in the background. Runs never overlap. */
export type Loop = {
  start(): void;
  /** Runs as soon as possible, once more if it is running now. */
  wake(): void;
  /** Resolves when the run under way has ended; no further one begins. */
  stop(): Promise<void>;
};

/**
 * Calls `work` every `everyMs`, at once again while it says there is more to do, and with doubling pauses up to
 * `backoffMsMax` while it fails. Failures are reported, never thrown: the next run is the retry.
 */
export function createLoop(options: {
  readonly everyMs: number;
  /** True = there may be more: run again at once. */
  readonly work: () => Promise<boolean>;
  readonly onError: (error: unknown) => void;
  readonly backoffMsMax?: number;
}): Loop {
  const backoffMsMax = options.backoffMsMax ?? 2_000;
  let timer: NodeJS.Timeout | null = null;
  let running: Promise<void> | null = null;
  let isStopped = true;
  let isAwaited = false;
  let failures = 0;

  async function run(): Promise<void> {
    isAwaited = false;
    let pauseMs = options.everyMs;
    try {
      if (await options.work()) pauseMs = 0;
      failures = 0;
    } catch (error) {
      failures += 1;
      pauseMs = Math.min(options.everyMs * 2 ** Math.min(failures, 10), backoffMsMax);
      options.onError(error);
    }
    running = null;
    if (!isStopped) schedule(isAwaited && failures === 0 ? 0 : pauseMs);
  }

  function schedule(pauseMs: number): void {
    if (timer) clearTimeout(timer);
    timer = setTimeout(() => {
      timer = null;
      running = run();
    }, pauseMs);
  }

  return {
    start() {
      if (!isStopped) return;
      isStopped = false;
      schedule(0);
    },
    wake() {
      if (isStopped) return;
      if (running) isAwaited = true;
      else schedule(0);
    },
    async stop() {
      isStopped = true;
      if (timer) clearTimeout(timer);
      timer = null;
      await running;
    },
  };
}
