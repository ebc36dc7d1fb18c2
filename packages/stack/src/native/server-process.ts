import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { mkdir, open, readFile, rename, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { StackError } from '../errors.ts';
import { checkHealth } from '../probes/health-checks.ts';
import type { Health, PartName } from '../stack.ts';
import { identifyProcess, isAlive, type ProcessIdentity, processTree } from './process-identity.ts';

/** How one server is prepared, started, asked and ended. */
export type ServerDefinition = {
  readonly name: PartName;
  readonly address: string;
  /** Servers that must be healthy first. */
  readonly after: readonly PartName[];
  /** Writes configuration and initialises data; safe to run again, also after a crash in the middle. */
  prepare(): Promise<void>;
  readonly command: string;
  readonly args: readonly string[];
  /** OS user, when root starts a server that refuses to run as root. */
  readonly user: { readonly uid: number; readonly gid: number } | null;
  /** Added to the environment that the server inherits. */
  readonly environment?: Readonly<Record<string, string>>;
  readonly stopSignal: NodeJS.Signals;
  /** The fact to show when healthy; throws while it is not. */
  probe(): Promise<string>;
  /** Runs whenever the server was found or made healthy (databases, global settings); idempotent. */
  settle?(): Promise<void>;
};

export type ServerPaths = { readonly pid: string; readonly log: string };

const READY_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 20_000;
const LOG_BYTES_MAX = 50 * 1024 * 1024;

/**
 * One server process that outlives the command that started it. What is known about it lies in its pid file: the
 * number *and* the start of the process, so that a number used again by the system is never taken for the server.
 */
export class ServerProcess {
  readonly definition: ServerDefinition;
  private readonly paths: ServerPaths;

  constructor(definition: ServerDefinition, paths: ServerPaths) {
    this.definition = definition;
    this.paths = paths;
  }

  get logFile(): string {
    return this.paths.log;
  }

  /** The running process, or null. A pid file of a process that is gone counts as null. */
  async running(): Promise<ProcessIdentity | null> {
    return readLiveIdentity(this.paths.pid);
  }

  health(): Promise<Health> {
    return checkHealth(() => this.definition.probe());
  }

  /** Resolves when the server is healthy: at once if it is, after a repair or a start if not. True when it started one. */
  async ensure(onProgress: (line: string) => void): Promise<boolean> {
    if (await this.running()) {
      if (await this.answers()) {
        await this.definition.settle?.();
        return false;
      }
      onProgress(`${this.definition.name} does not answer: restarting it`);
      await this.kill('SIGKILL');
    }
    await this.start();
    return true;
  }

  /** A forgotten pause is the one trouble that needs no restart. */
  private async answers(): Promise<boolean> {
    if ((await this.health()).ok) return true;
    await this.resume();
    return (await this.health()).ok;
  }

  async start(): Promise<void> {
    await mkdir(dirname(this.paths.pid), { recursive: true });
    await mkdir(dirname(this.paths.log), { recursive: true });
    await this.definition.prepare();
    await capLog(this.paths.log);
    const logStart = await fileSize(this.paths.log);
    const identity = await this.launch();
    await this.awaitHealthy(identity, logStart);
    await this.definition.settle?.();
  }

  /** Orderly end within 20 s, else SIGKILL. Resolves when the process and its children are gone. */
  async stop(): Promise<void> {
    const identity = await this.running();
    if (identity !== null) {
      await this.resume();
      await this.end(identity, this.definition.stopSignal);
    }
    await rm(this.paths.pid, { force: true });
  }

  async kill(signal: NodeJS.Signals): Promise<void> {
    const identity = await this.running();
    if (identity !== null) await this.end(identity, signal);
  }

  async pause(): Promise<void> {
    const identity = await this.running();
    // Ancestors first: a frozen parent starts no more children.
    for (const pid of identity === null ? [] : processTree(identity.pid)) sendSignal(pid, 'SIGSTOP');
  }

  async resume(): Promise<void> {
    const identity = await this.running();
    for (const pid of identity === null ? [] : processTree(identity.pid)) sendSignal(pid, 'SIGCONT');
  }

  private async launch(): Promise<ProcessIdentity> {
    const log = openSync(this.paths.log, 'a');
    try {
      const { command, args, user, environment } = this.definition;
      const child = spawn(command, args, {
        cwd: '/',
        env: { ...process.env, ...environment },
        detached: true, // its own session: Ctrl-C at the terminal ends the command, not the servers
        stdio: ['ignore', log, log],
        ...(user ? { uid: user.uid, gid: user.gid } : {}),
      });
      const failed = new Promise<never>((_resolve, reject) => child.once('error', reject));
      failed.catch(() => undefined); // awaited below only when no process came to be
      if (child.pid === undefined) await failed;
      child.unref();
      const identity = identifyProcess(child.pid ?? 0);
      if (identity === null) throw await this.failure('ended at once', 0);
      const draft = `${this.paths.pid}.${process.pid}`;
      await writeFile(draft, `${JSON.stringify(identity)}\n`);
      await rename(draft, this.paths.pid);
      return identity;
    } finally {
      closeSync(log);
    }
  }

  private async awaitHealthy(identity: ProcessIdentity, logStart: number): Promise<void> {
    const deadline = performance.now() + READY_TIMEOUT_MS;
    for (;;) {
      const health = await this.health();
      if (health.ok) return;
      if (!isAlive(identity)) throw await this.failure('ended while starting', logStart);
      if (performance.now() > deadline) {
        await this.end(identity, 'SIGKILL');
        throw await this.failure(`was not healthy within ${READY_TIMEOUT_MS / 1000} s (${health.detail})`, logStart);
      }
      await sleep(50);
    }
  }

  private async end(identity: ProcessIdentity, signal: NodeJS.Signals): Promise<void> {
    const tree = processTree(identity.pid)
      .map((pid) => identifyProcess(pid))
      .filter((member) => member !== null);
    sendSignal(identity.pid, signal);
    if (await allGone(tree, STOP_TIMEOUT_MS)) return;
    for (const member of tree) if (isAlive(member)) sendSignal(member.pid, 'SIGKILL');
    if (await allGone(tree, STOP_TIMEOUT_MS)) return;
    throw new StackError('SEC_STACK_SERVER_FAILED', `${this.definition.name} (${identity.pid}) cannot be ended`);
  }

  private async failure(what: string, logStart: number): Promise<StackError> {
    const said = (await readFile(this.paths.log).catch(() => Buffer.alloc(0))).subarray(logStart).toString('utf8');
    const tail = said.trimEnd().split('\n').slice(-12).join('\n');
    return new StackError(
      'SEC_STACK_SERVER_FAILED',
      `${this.definition.name} ${what}; ${this.paths.log} ends with:\n${tail}`,
    );
  }
}

/** The process a pid file names, if it still is that process. */
export async function readLiveIdentity(pidFile: string): Promise<ProcessIdentity | null> {
  const text = await readFile(pidFile, 'utf8').catch(() => null);
  if (text === null) return null;
  try {
    const parsed = JSON.parse(text) as Partial<ProcessIdentity>; // our own file; a torn one fails the checks
    if (typeof parsed.pid !== 'number' || typeof parsed.startedAt !== 'string') return null;
    const identity = { pid: parsed.pid, startedAt: parsed.startedAt };
    return isAlive(identity) ? identity : null;
  } catch {
    return null;
  }
}

/** A process that ended in between is what the caller wanted. */
export function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

/** Waits until none of the processes lives; false after `timeoutMs`. */
export async function allGone(identities: readonly ProcessIdentity[], timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while (identities.some((identity) => isAlive(identity))) {
    if (performance.now() > deadline) return false;
    await sleep(20);
  }
  return true;
}

async function capLog(path: string): Promise<void> {
  await (await open(path, 'a')).close();
  if ((await fileSize(path)) > LOG_BYTES_MAX) await truncate(path, 0);
}

async function fileSize(path: string): Promise<number> {
  return stat(path).then(
    (file) => file.size,
    () => 0,
  );
}
