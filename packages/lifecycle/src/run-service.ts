import { classifyError } from '@tracehound/event-model';
import type { LifecycleLogger } from './lifecycle.ts';
import { onParentStop } from './workers.ts';

/** What `createApp` of a service returns, as far as a process needs it. */
export type RunnableApp = { start(): Promise<void>; stop(): Promise<void> };

export type ServiceContext = {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly argv: readonly string[];
  /** For what cannot go on (a consumer's `onFatal`): logs, stops the app and ends with exit code 1. */
  readonly fatal: (error: unknown) => void;
};

export type RunServiceOptions = {
  readonly name: string;
  /** Printed by `--help`. */
  readonly help: () => string;
  /** Loads the configuration and builds the app, without starting it. */
  readonly main: (context: ServiceContext) => RunnableApp | Promise<RunnableApp>;
  /** Bound of the whole drain; default 25,000 ms (process contract). After it the process ends with code 1. */
  readonly stopTimeoutMs?: number;
  readonly logger?: LifecycleLogger;
};

const STOP_TIMEOUT_MS_DEFAULT = 25_000;

/**
 * Runs a service until SIGTERM or SIGINT and ends the process: 0 drained, 1 fatal (a failed start, an unhandled
 * rejection or exception, a drain beyond its bound), 2 bad configuration (an error with code `SEC_CONFIG_INVALID`).
 * A second signal ends it at once with 1. A worker of `createWorkers` drains also when its parent says so or is gone.
 * Called once per process, from `main.ts`.
 */
export function runService(options: RunServiceOptions): void {
  if (process.argv.includes('--help') || process.argv.includes('-h')) {
    process.stdout.write(`${options.help()}\n`);
    return;
  }
  const logger = options.logger ?? stderrLogger(options.name);
  let app: RunnableApp | null = null;
  let ending = false;

  function end(code: number): void {
    if (ending) return;
    ending = true;
    setTimeout(() => {
      logger.error('drain took too long', { boundMs: options.stopTimeoutMs ?? STOP_TIMEOUT_MS_DEFAULT });
      process.exit(1);
    }, options.stopTimeoutMs ?? STOP_TIMEOUT_MS_DEFAULT);
    Promise.resolve(app?.stop()).then(
      () => process.exit(code),
      (error: unknown) => {
        logger.error('stop failed', { err: error });
        process.exit(1);
      },
    );
  }

  function fatal(error: unknown): void {
    logger.error('fatal', { err: error });
    end(1);
  }

  process.on('unhandledRejection', fatal);
  process.on('uncaughtException', fatal);
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (ending) process.exit(1);
      logger.info('draining', { signal });
      end(0);
    });
  }

  onParentStop(() => end(0));

  async function run(): Promise<void> {
    try {
      app = await options.main({ env: process.env, argv: process.argv.slice(2), fatal });
    } catch (error) {
      if (classifyError(error).code === 'SEC_CONFIG_INVALID') {
        process.stderr.write(`${options.name}: ${explain(error)}\nRun with --help for all keys.\n`);
        process.exit(2);
      }
      throw error;
    }
    await app.start();
  }
  run().catch((error: unknown) => {
    if (!ending) fatal(error);
  });
}

/** `ConfigError` of `@tracehound/config` explains itself, one line per key. */
function explain(error: unknown): string {
  if (error instanceof Error && 'explain' in error && typeof error.explain === 'function') {
    return `${error.message}\n${String(error.explain())}`;
  }
  return 'the configuration is invalid';
}

/** Used until the service has its own logger: the same JSON fields, errors by code only. */
function stderrLogger(service: string): LifecycleLogger {
  const write =
    (level: string) =>
    (msg: string, fields: Readonly<Record<string, unknown>> = {}) => {
      const { err, ...rest } = fields;
      process.stderr.write(`${JSON.stringify({ level, service, msg, ...rest, ...errorFields(err) })}\n`);
    };
  return { info: write('info'), warn: write('warn'), error: write('error') };
}

function errorFields(error: unknown): Readonly<Record<string, unknown>> {
  if (!(error instanceof Error)) return {};
  const { code, category } = classifyError(error);
  const stack = error.stack?.split('\n').filter((line) => line.startsWith('    at '));
  const message = code === 'SEC_CORE_UNCLASSIFIED' && error instanceof SyntaxError ? 'syntax error' : error.message;
  return { code, err: { name: error.name, code, category, message, stack: stack?.join('\n') } };
}
