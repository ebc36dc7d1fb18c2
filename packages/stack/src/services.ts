import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { commandOf, identifyProcess, isAlive } from './native/process-identity.ts';
import { allGone, sendSignal } from './native/server-process.ts';
import { stackFiles } from './native/stack-files.ts';

/** A Tracehound service that runs on a stack, as `<stack>/services/<name>.json` keeps it. */
export type ServiceEntry = {
  readonly name: string;
  readonly pid: number;
  /** URL of metrics and health. */
  readonly internal: string | null;
  /** URL of the API, for the services that have one. */
  readonly public: string | null;
  readonly startedAt: string;
};

export type ServiceStatus = ServiceEntry & {
  readonly state: 'ready' | 'not ready' | 'stopped';
  /** In words: why it is not ready. */
  readonly detail: string;
};

/** Kept beside the entry: tells the service from a later process with the same number. */
type StoredEntry = ServiceEntry & { readonly processStartedAt?: string };

/**
 * The name under which `tracehound up` notes itself: it starts services again that die, so it has to end before
 * them, and ends them itself.
 */
export const SUPERVISOR = 'supervisor';

/** The drain limit of the process contract is 25 s. */
const DRAIN_TIMEOUT_MS = 27_000;

/** Notes a running service, so that `status` shows it and `down` ends it. Replaces an earlier note of the name. */
export async function registerService(directory: string, entry: Omit<ServiceEntry, 'startedAt'>): Promise<void> {
  const folder = stackFiles(directory).services;
  await mkdir(folder, { recursive: true });
  const identity = identifyProcess(entry.pid);
  const stored: StoredEntry = {
    ...entry,
    startedAt: new Date().toISOString(),
    ...(identity === null ? {} : { processStartedAt: identity.startedAt }),
  };
  const path = join(folder, `${entry.name}.json`);
  await writeFile(`${path}.${process.pid}`, `${JSON.stringify(stored, null, 2)}\n`);
  await rename(`${path}.${process.pid}`, path);
}

export async function unregisterService(directory: string, name: string): Promise<void> {
  await rm(join(stackFiles(directory).services, `${name}.json`), { force: true });
}

/** Every service noted for the stack, running or not, by name. */
export async function serviceStatuses(directory: string): Promise<readonly ServiceStatus[]> {
  return Promise.all((await readEntries(directory)).map(statusOf));
}

/**
 * SIGTERM to the supervisor, then to the services that are left, SIGKILL to those that have not drained within 27 s;
 * forgets them all. Returns the names ended.
 */
export async function stopServices(directory: string): Promise<readonly string[]> {
  const entries = await readEntries(directory);
  const running = entries.filter(isRunning);
  await endAll(running.filter(({ name }) => name === SUPERVISOR));
  await endAll((await readEntries(directory)).filter(isRunning));
  for (const { name } of entries) await unregisterService(directory, name);
  return running.map(({ name }) => name);
}

async function endAll(entries: readonly StoredEntry[]): Promise<void> {
  const identities = entries.map(({ pid }) => identifyProcess(pid)).filter((identity) => identity !== null);
  for (const { pid } of identities) sendSignal(pid, 'SIGTERM');
  if (await allGone(identities, DRAIN_TIMEOUT_MS)) return;
  for (const identity of identities) if (isAlive(identity)) sendSignal(identity.pid, 'SIGKILL');
  await allGone(identities, 5_000);
}

async function readEntries(directory: string): Promise<readonly StoredEntry[]> {
  const folder = stackFiles(directory).services;
  const names = await readdir(folder).catch(() => []);
  const texts = names
    .filter((name) => name.endsWith('.json'))
    .sort()
    .map(async (name) => parseEntry(name.slice(0, -'.json'.length), await readFile(join(folder, name), 'utf8')));
  return (await Promise.all(texts)).filter((entry) => entry !== null);
}

function parseEntry(name: string, text: string): StoredEntry | null {
  try {
    const parsed = JSON.parse(text) as Partial<StoredEntry>; // our own file; the pid is the only key that must be there
    if (typeof parsed.pid !== 'number') return null;
    return {
      name,
      pid: parsed.pid,
      internal: parsed.internal ?? null,
      public: parsed.public ?? null,
      startedAt: parsed.startedAt ?? '',
      ...(parsed.processStartedAt === undefined ? {} : { processStartedAt: parsed.processStartedAt }),
    };
  } catch {
    return null;
  }
}

function isRunning(entry: StoredEntry): boolean {
  const identity = identifyProcess(entry.pid);
  if (identity === null) return false;
  if (entry.processStartedAt !== undefined) return identity.startedAt === entry.processStartedAt;
  // Noted by somebody who knew only the number: the command line has to name the service.
  return commandOf(entry.pid).includes(entry.name);
}

async function statusOf(entry: StoredEntry): Promise<ServiceStatus> {
  const { processStartedAt: _hidden, ...shown } = entry;
  if (!isRunning(entry)) return { ...shown, state: 'stopped', detail: 'no process' };
  if (entry.internal === null) return { ...shown, state: 'ready', detail: 'has no health address' };
  try {
    const response = await fetch(new URL('/health/ready', entry.internal), { signal: AbortSignal.timeout(2_000) });
    const reasons = failedChecks(await response.json());
    return { ...shown, state: response.ok ? 'ready' : 'not ready', detail: reasons };
  } catch (error) {
    return { ...shown, state: 'not ready', detail: error instanceof Error ? error.message : String(error) };
  }
}

/** `{checks: [{name, ok, detail}]}` of the process contract, the failed ones in words. */
function failedChecks(body: unknown): string {
  if (typeof body !== 'object' || body === null || !('checks' in body) || !Array.isArray(body.checks)) return '';
  const checks = body.checks as readonly { name?: string; ok?: boolean; detail?: string }[]; // by contract, shown only
  return checks
    .filter(({ ok }) => ok === false)
    .map(({ name, detail }) => `${name}: ${detail}`)
    .join('; ');
}
