import { randomBytes } from 'node:crypto';
import { link, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { StackError } from '../errors.ts';
import { identifyProcess, isAlive, type ProcessIdentity } from './process-identity.ts';

export type FileLockOptions = {
  /** Milliseconds to wait for the holder; default 180,000, more than a cold start takes. */
  readonly timeoutMs?: number;
  /** Called once when another process holds the lock. */
  readonly onWait?: (holder: number) => void;
};

/** Breaking a dead holder's lock takes microseconds; an older breaker died in the middle. */
const BREAKER_STALE_MS = 10_000;

/**
 * Runs `body` while no other process of this machine runs one under the same lock file. The file names its holder;
 * a holder that no longer lives is set aside. Not reentrant.
 */
export async function withFileLock<T>(path: string, body: () => Promise<T>, options: FileLockOptions = {}): Promise<T> {
  await acquire(path, options);
  try {
    return await body();
  } finally {
    await rm(path, { force: true });
  }
}

async function acquire(path: string, options: FileLockOptions): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const deadline = performance.now() + (options.timeoutMs ?? 180_000);
  let told = false;
  while (!(await tryCreate(path))) {
    const holder = await readHolder(path);
    if (holder !== null && !isAlive(holder)) {
      await breakStale(path);
      continue;
    }
    if (holder !== null && !told) {
      told = true;
      options.onWait?.(holder.pid);
    }
    if (performance.now() > deadline) {
      throw new StackError('SEC_STACK_LOCKED', `process ${holder?.pid ?? 'unknown'} still holds ${path}`, {
        category: 'timeout',
      });
    }
    await sleep(50);
  }
}

/** The content is in place before the name is: link() refuses an existing name, and readers never see half a file. */
async function tryCreate(path: string): Promise<boolean> {
  const own = identifyProcess(process.pid) ?? { pid: process.pid, startedAt: '' };
  const draft = `${path}.${randomBytes(6).toString('hex')}`;
  await writeFile(draft, JSON.stringify(own));
  try {
    await link(draft, path);
    return true;
  } catch (error) {
    if (isCode(error, 'EEXIST')) return false;
    throw error;
  } finally {
    await rm(draft, { force: true });
  }
}

/** Under a second lock, so that two waiters cannot remove each other's fresh lock. */
async function breakStale(path: string): Promise<void> {
  const breaker = `${path}.breaker`;
  if (!(await tryCreate(breaker))) {
    const age = await stat(breaker).then(
      (file) => Date.now() - file.mtimeMs,
      () => 0,
    );
    if (age > BREAKER_STALE_MS) await rm(breaker, { force: true });
    await sleep(20);
    return;
  }
  try {
    const holder = await readHolder(path);
    if (holder !== null && !isAlive(holder)) await rm(path, { force: true });
  } finally {
    await rm(breaker, { force: true });
  }
}

/** Null when the lock was released meanwhile. */
async function readHolder(path: string): Promise<ProcessIdentity | null> {
  try {
    const parsed: unknown = JSON.parse(await readFile(path, 'utf8'));
    if (typeof parsed !== 'object' || parsed === null || !('pid' in parsed) || !('startedAt' in parsed)) return null;
    return { pid: Number(parsed.pid), startedAt: String(parsed.startedAt) };
  } catch (error) {
    if (isCode(error, 'ENOENT')) return null;
    throw error;
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
