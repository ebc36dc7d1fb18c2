import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

export const SERVICES = ['producer-gateway', 'correlator', 'sink-audit', 'alerter'] as const;
export type ServiceName = (typeof SERVICES)[number];

export type ServiceOptions = {
  readonly name: ServiceName;
  readonly root: string;
  /** Log and pid files go to `<directory>/logs` and `<directory>/services`. */
  readonly directory: string;
  readonly env: Readonly<Record<string, string>>;
  readonly internalUrl: string;
  readonly publicUrl?: string;
  /** `TRACEHOUND_FAULT` of the first start only: a restarted service is whole again. */
  readonly fault?: string;
  /** How often a service that dies is started again before it counts as dead; default 10. */
  readonly restartsMax?: number;
  readonly onEvent?: (event: ServiceEvent) => void;
};

export type ServiceEvent = {
  readonly service: ServiceName;
  readonly kind: 'started' | 'exited' | 'dead';
  readonly detail: string;
};

type Health = { status?: string; checks?: { name: string; ok: boolean; detail?: string }[] };

/**
 * Room for young objects: each fetched record makes many that are gone at the end of its batch. With the default of 16 MB
 * batches under way are copied and promoted: from a filled topic that took a sixth of the correlator's CPU.
 */
const NODE_FLAGS: Partial<Record<ServiceName, readonly string[]>> = { correlator: ['--max-semi-space-size=64'] };

const BACKOFF_MS_MIN = 100;
const BACKOFF_MS_MAX = 5_000;
/** A service that lived this long starts again with a fresh count. */
const HEALTHY_AFTER_MS = 30_000;
/** Drain bound of a service (contracts 1) and a little. */
const STOP_MS_MAX = 27_000;

/**
 * One service as a supervised child process. A death that was not asked for is answered by a restart with backoff on
 * the same ports, because `kill -9` is something the product survives, not something an operator repairs.
 */
export class ServiceProcess {
  readonly name: ServiceName;
  readonly internalUrl: string;
  readonly publicUrl: string | undefined;
  restarts = 0;
  private readonly options: ServiceOptions;
  private child: ChildProcess | undefined;
  private exited: Promise<void> = Promise.resolve();
  private stopping = false;
  private dead = false;

  constructor(options: ServiceOptions) {
    this.options = options;
    this.name = options.name;
    this.internalUrl = options.internalUrl;
    this.publicUrl = options.publicUrl;
  }

  get pid(): number | undefined {
    return this.child?.pid;
  }

  get isDead(): boolean {
    return this.dead;
  }

  get logFile(): string {
    return join(this.options.directory, 'logs', `${this.name}.log`);
  }

  start(): void {
    this.spawnOnce(this.options.fault);
  }

  /** Sends a signal to the running process; the supervisor treats the death as any other. */
  kill(signal: NodeJS.Signals): void {
    this.child?.kill(signal);
  }

  /** Why the service is not ready, or null when it is. */
  async notReady(): Promise<string | null> {
    if (this.dead) return 'dead: it ended more often than it may be started again';
    try {
      const response = await fetch(`${this.internalUrl}/health/ready`, { signal: AbortSignal.timeout(2_000) });
      if (response.ok) return null;
      const health = (await response.json()) as Health;
      const failing = (health.checks ?? []).filter((check) => !check.ok);
      return (
        failing.map((check) => `${check.name}: ${check.detail ?? 'not ok'}`).join('; ') || `HTTP ${response.status}`
      );
    } catch {
      return 'not answering yet';
    }
  }

  /** Resolves when `/health/ready` says so; rejects with the last reason after `timeoutMs`. */
  async ready(timeoutMs: number): Promise<void> {
    const until = Date.now() + timeoutMs;
    for (;;) {
      const reason = await this.notReady();
      if (reason === null) return;
      if (this.dead || Date.now() > until) {
        throw new Error(`${this.name} did not become ready: ${reason}; see ${this.logFile}`);
      }
      await delay(50);
    }
  }

  async stop(): Promise<void> {
    this.stopping = true;
    const child = this.child;
    if (child && child.exitCode === null && child.signalCode === null) {
      child.kill('SIGTERM');
      const late = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX);
      await this.exited;
      clearTimeout(late);
    }
    rmSync(this.pidFile, { force: true });
  }

  private get pidFile(): string {
    return join(this.options.directory, 'services', `${this.name}.json`);
  }

  private spawnOnce(fault: string | undefined): void {
    const { root, directory, env, internalUrl, publicUrl } = this.options;
    mkdirSync(join(directory, 'logs'), { recursive: true });
    mkdirSync(join(directory, 'services'), { recursive: true });
    const log = openSync(this.logFile, 'a');
    const child = spawn(
      process.execPath,
      [
        '--conditions=@tracehound/source',
        '--disable-warning=ExperimentalWarning',
        ...(NODE_FLAGS[this.name] ?? []),
        join(root, 'services', this.name, 'src', 'main.ts'),
      ],
      {
        cwd: root,
        stdio: ['ignore', log, log],
        env: { ...process.env, ...env, ...(fault ? { TRACEHOUND_FAULT: fault } : {}) },
      },
    );
    closeSync(log);
    this.child = child;
    const startedAt = Date.now();
    this.exited = new Promise((done) => {
      child.once('close', () => done());
      child.once('error', () => done());
    });
    writeFileSync(
      this.pidFile,
      JSON.stringify({
        pid: child.pid,
        internal: internalUrl,
        public: publicUrl ?? null,
        startedAt: new Date(startedAt).toISOString(),
      }),
    );
    this.report('started', `pid ${child.pid}`);
    void this.exited.then(() => this.afterExit(child, startedAt));
  }

  private async afterExit(child: ChildProcess, startedAt: number): Promise<void> {
    if (this.stopping) return;
    this.report('exited', child.signalCode ?? `exit ${child.exitCode}`);
    if (Date.now() - startedAt > HEALTHY_AFTER_MS) this.restarts = 0;
    // Exit 2 is a bad configuration: starting again cannot help.
    if (this.restarts >= (this.options.restartsMax ?? 10) || child.exitCode === 2) {
      this.dead = true;
      this.report('dead', `after ${this.restarts} restarts; see ${this.logFile}`);
      return;
    }
    await delay(Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** this.restarts));
    if (this.stopping) return;
    this.restarts++;
    this.spawnOnce(undefined);
  }

  private report(kind: ServiceEvent['kind'], detail: string): void {
    this.options.onEvent?.({ service: this.name, kind, detail });
  }
}
