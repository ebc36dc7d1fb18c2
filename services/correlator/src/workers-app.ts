import { createInternalServer } from '@tracehound/http';
import { createLifecycle, createWorkers, type RunnableApp, type WorkerState } from '@tracehound/lifecycle';
import { createLogger, createMetrics, type HealthReport, type MetricsSnapshot, textOf } from '@tracehound/telemetry';
import type { CorrelatorApp } from './app.ts';
import type { CorrelatorConfig } from './config.ts';
import { createWorkersMetrics } from './metrics.ts';

/** Both kinds of health a worker says of itself. */
export type WorkerHealth = ReturnType<CorrelatorApp['health']>;

export type WorkersAppOptions = {
  /** 2 or more. */
  readonly count: number;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly onFatal: (error: unknown) => void;
  /** The module that runs one worker, with `TRACEHOUND_CORRELATOR_WORKERS=1`. */
  readonly entry: string;
};

/** A worker says its state twice a second; one that has been silent for this long is stuck. */
const SILENCE_MS_MAX = 5_000;
const STOP_TIMEOUT_MS = 24_000;

/**
 * The correlator as several processes that look like one: they share the partitions by their consumer groups, as on several
 * machines, and this process only keeps them alive and answers the internal port for all. Ready when every worker is;
 * each sample of `/metrics` has the label `process`.
 */
export function createWorkersApp(config: CorrelatorConfig, options: WorkersAppOptions): RunnableApp {
  const { count, env, onFatal, entry } = options;
  const logger = createLogger({ service: 'correlator', level: config.logLevel });
  const metrics = createMetrics('correlator');
  const replacements = createWorkersMetrics(metrics, () => workers.states().filter(({ state }) => state).length);
  const workers = createWorkers<WorkerHealth, MetricsSnapshot>({
    entry,
    count,
    env: (index) => ({
      ...env,
      TRACEHOUND_CORRELATOR_WORKERS: '1',
      TRACEHOUND_CORRELATOR_HOST: '127.0.0.1',
      TRACEHOUND_CORRELATOR_INTERNAL_PORT: '0',
      TRACEHOUND_WORKER: String(index),
    }),
    logger,
    onFatal,
    onReplaced: () => replacements.replaced(),
  });
  const snapshots = async (): Promise<readonly MetricsSnapshot[]> => [
    await metrics.snapshot('parent'),
    ...(await workers.details()),
  ];
  const health = (kind: keyof WorkerHealth): HealthReport => healthOfAll(workers.states(), kind, performance.now());
  const internal = createInternalServer({
    ...config.server,
    port: config.server.internalPort,
    metrics: { contentType: metrics.contentType, text: async () => textOf(await snapshots()) },
    health: { ready: () => health('ready'), live: () => health('live') },
  });
  return createLifecycle(logger)
    .add('internal server', {
      start: async () => {
        logger.info('listening', { internal: await internal.start(), workers: count });
      },
      stop: () => internal.stop(),
    })
    .add('workers', {
      start: () => workers.start(),
      stop: () => workers.stop(),
      stopTimeoutMs: STOP_TIMEOUT_MS,
    });
}

/**
 * Every check of every worker, as `worker 1: kafka`. One that has not said anything yet is not ready but lives; one that has
 * gone silent lives no more, since its event loop is stuck.
 */
export function healthOfAll(
  states: readonly WorkerState<WorkerHealth>[],
  kind: keyof WorkerHealth,
  /** As `performance.now` counts. */
  nowMs: number,
): HealthReport {
  const checks = states.flatMap(({ index, state, saidAtMs }) => {
    if (state === null) return [{ name: `worker ${index}`, ok: kind === 'live', detail: 'starting' }];
    const silentMs = nowMs - saidAtMs;
    if (silentMs > SILENCE_MS_MAX) {
      return [{ name: `worker ${index}`, ok: false, detail: `silent for ${Math.round(silentMs / 1_000)} s` }];
    }
    return state[kind].checks.map((check) => ({ ...check, name: `worker ${index}: ${check.name}` }));
  });
  const ok = checks.every((check) => check.ok);
  return { ok, status: ok ? 'ok' : 'unavailable', checks };
}
