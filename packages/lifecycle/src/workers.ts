import { type ChildProcess, fork } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import type { LifecycleLogger } from './lifecycle.ts';

/** How often a worker says its state unasked. */
const STATE_EVERY_MS = 500;
/** A worker that does not answer a question by then is left out of the answer. */
const ANSWER_MS_MAX = 2_000;
const BACKOFF_MS_MIN = 200;
const BACKOFF_MS_MAX = 10_000;
/** A worker that lived this long is replaced without more delay than the first time. */
const HEALTHY_AFTER_MS = 30_000;
const RESTARTS_MAX_DEFAULT = 10;

export type WorkersOptions = {
  /** Module a worker runs; it must call `reportToParent`. */
  readonly entry: string;
  /** 1 or more. */
  readonly count: number;
  /** Environment of the worker with this index, 0 to `count` - 1; its replacements get the same without fault points. */
  readonly env: (index: number) => NodeJS.ProcessEnv;
  readonly logger: LifecycleLogger;
  /** Once: a worker ended by itself (it said that it cannot go on), or was replaced too often in a row. */
  readonly onFatal: (error: unknown) => void;
  /** A worker is started in place of one that died. */
  readonly onReplaced?: (index: number) => void;
  /** How often in a row one worker is replaced; default 10. */
  readonly restartsMax?: number;
};

/** State last said by the worker in a place; `null` while it is starting or gone. `saidAtMs` as `performance.now` counts. */
export type WorkerState<State> = { readonly index: number; readonly state: State | null; readonly saidAtMs: number };

export type Workers<State, Detail> = {
  start(): void;
  /** Asks all to drain and resolves when all have ended. */
  stop(): Promise<void>;
  /** By index, from memory. */
  states(): readonly WorkerState<State>[];
  /** Asks all that live; those that do not answer in time are missing. */
  details(): Promise<readonly Detail[]>;
};

type ToWorker = { readonly kind: 'stop' } | { readonly kind: 'ask'; readonly id: number };
type FromWorker<State, Detail> =
  | { readonly kind: 'state'; readonly state: State }
  | { readonly kind: 'answer'; readonly id: number; readonly detail: Detail };

type Place<State> = {
  readonly index: number;
  child: ChildProcess | null;
  ended: Promise<void>;
  state: State | null;
  saidAtMs: number;
  restarts: number;
};

/**
 * Copies of one process, as an orchestrator would run them, on one machine. One that is killed is replaced with backoff; one
 * that ends by itself with an error has said that nobody can go on, and ends all. A worker whose parent is gone drains.
 */
export function createWorkers<State, Detail>(options: WorkersOptions): Workers<State, Detail> {
  const { entry, count, env, logger, onFatal, onReplaced, restartsMax = RESTARTS_MAX_DEFAULT } = options;
  const places: Place<State>[] = Array.from({ length: count }, (_, index) => ({
    index,
    child: null,
    ended: Promise.resolve(),
    state: null,
    saidAtMs: 0,
    restarts: 0,
  }));
  const waiting = new Map<number, (detail: Detail) => void>();
  const stopping = new AbortController();
  let questions = 0;

  function spawn(place: Place<State>, environment: NodeJS.ProcessEnv): void {
    const startedAtMs = performance.now();
    const child = fork(entry, [], { env: environment });
    place.child = child;
    child.on('message', (message: FromWorker<State, Detail>) => {
      if (message.kind === 'answer') return waiting.get(message.id)?.(message.detail);
      place.state = message.state;
      place.saidAtMs = performance.now();
    });
    place.ended = new Promise((resolve) => {
      child.once('error', (error) => {
        logger.error('a worker could not be started', { worker: place.index, err: error });
        resolve();
      });
      child.once('exit', () => resolve());
    });
    logger.info('worker started', { worker: place.index, pid: child.pid });
    void place.ended.then(() => replace(place, child, startedAtMs));
  }

  async function replace(place: Place<State>, child: ChildProcess, startedAtMs: number): Promise<void> {
    place.child = null;
    place.state = null;
    if (stopping.signal.aborted) return;
    const { exitCode, signalCode } = child;
    logger.warn('worker ended', { worker: place.index, pid: child.pid, exitCode, signal: signalCode });
    if (signalCode === null && exitCode !== 0)
      return onFatal(new Error(`worker ${place.index} ended with code ${exitCode}`));
    place.restarts = performance.now() - startedAtMs > HEALTHY_AFTER_MS ? 0 : place.restarts;
    if (place.restarts >= restartsMax) {
      return onFatal(new Error(`worker ${place.index} was replaced ${place.restarts} times in a row`));
    }
    const pauseMs = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** place.restarts);
    await delay(pauseMs, undefined, { signal: stopping.signal }).catch(() => undefined);
    if (stopping.signal.aborted) return;
    place.restarts++;
    onReplaced?.(place.index);
    spawn(place, { ...env(place.index), TRACEHOUND_FAULT: '' });
  }

  function ask(place: Place<State>): Promise<Detail | null> {
    const id = questions++;
    return new Promise((resolve) => {
      const settle = (detail: Detail | null): void => {
        clearTimeout(late);
        waiting.delete(id);
        resolve(detail);
      };
      const late = setTimeout(settle, ANSWER_MS_MAX, null);
      waiting.set(id, settle);
      if (!tell(place, { kind: 'ask', id })) settle(null);
    });
  }

  return {
    start() {
      for (const place of places) spawn(place, env(place.index));
    },
    async stop() {
      stopping.abort();
      for (const place of places) tell(place, { kind: 'stop' });
      await Promise.all(places.map(({ ended }) => ended));
    },
    states: () => places.map(({ index, state, saidAtMs }) => ({ index, state, saidAtMs })),
    details: async () => (await Promise.all(places.map(ask))).filter((detail) => detail !== null),
  };
}

/** False when there is nobody to tell; a worker that is just dying may miss it, which its end makes good. */
function tell({ child }: Place<unknown>, message: ToWorker): boolean {
  if (child === null || !child.connected) return false;
  child.send(message, () => undefined);
  return true;
}

/**
 * The worker's side of `createWorkers`; does nothing in a process without such a parent. `state` is sent every 500 ms,
 * `detail` when asked; both must survive JSON. `runService` ends the process when the parent says so or is gone.
 */
export function reportToParent<State, Detail>(self: { state(): State; detail(): Promise<Detail> }): void {
  if (!process.send) return;
  const say = (message: FromWorker<State, Detail>): void => {
    if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
  };
  setInterval(() => say({ kind: 'state', state: self.state() }), STATE_EVERY_MS).unref();
  process.on('message', (message: ToWorker) => {
    if (message.kind === 'ask') {
      void self.detail().then((detail) => say({ kind: 'answer', id: message.id, detail }));
    }
  });
}

/** Calls back once the parent of `createWorkers` wants this process to drain, or is gone. */
export function onParentStop(stop: () => void): void {
  if (!process.send) return;
  process.once('disconnect', stop);
  process.on('message', (message: ToWorker) => {
    if (message.kind === 'stop') stop();
  });
}
