import { execFile } from 'node:child_process';
import { readFile, stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import type { PartName, PartStatus, Stack } from '@tracehound/stack';
import { Client } from 'pg';
import { waitFor } from './wait-for.ts';

const run = promisify(execFile);

/** Room for the last words of a server in its log; what it stores is soon larger. */
const LAST_WORDS_BYTES = 16 * 1024;

/**
 * The disk is full for a running server of a native stack until it is started again: no file grows
 * beyond the size of its log and 16 KiB. RLIMIT_FSIZE says EFBIG where a full file system says ENOSPC, to a broker an `IOException` in its log
 * directory either way; other servers get a disk of their own (`openSmallDisk`). Throws where `prlimit` (util-linux) is missing.
 */
export async function fillDisk(stack: Stack, name: PartName): Promise<void> {
  const { pid, log } = await statusOf(stack, name);
  if (pid === null || log === null)
    throw new Error(`${name} does not run as a process of this machine: its disk cannot be filled`);
  const bytesMax = (await stat(log)).size + LAST_WORDS_BYTES;
  try {
    // The soft limit: the hard one could not be raised again.
    await run('prlimit', ['--pid', String(pid), `--fsize=${bytesMax}:`]);
  } catch (error) {
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    throw isMissing ? new Error('prlimit (util-linux) is missing: no full disk can be made', { cause: error }) : error;
  }
}

/** Resolves when a server whose disk is full has ended itself, and says so in its log. */
export async function endedByFullDisk(stack: Stack, name: PartName): Promise<void> {
  const { log } = await statusOf(stack, name);
  await waitFor(async () => (await statusOf(stack, name)).pid === null, {
    what: `${name} to end itself`,
    timeoutMs: 60_000,
  });
  const said = log === null ? '' : await readFile(log, 'utf8');
  if (!/File too large|No space left on device/.test(said))
    throw new Error(`${name} ended for another reason:\n${said.slice(-4_000)}`);
}

/** Files of the write-ahead log that may be there in advance: far more than a cluster of a test has. */
const WAL_FILES_MAX = 100;

/**
 * Makes PostgreSQL, whose disk is full, take another file of its write-ahead log until there is no room for one. It ends
 * itself then (PANIC) and cannot start anew, as the end of a recovery is written too. Resolves when it is gone.
 */
export async function runOutOfWal(stack: Stack): Promise<void> {
  const client = new Client({ connectionString: stack.addresses.postgresUrl });
  client.on('error', () => undefined); // The end of the connection is what is waited for.
  await client.connect();
  try {
    for (let file = 0; file < WAL_FILES_MAX; file++) {
      await client.query('SELECT pg_switch_wal()');
      await client.query("SELECT pg_logical_emit_message(true, 'test', 'a first record')");
    }
  } catch {
    await endedByFullDisk(stack, 'postgres');
    return;
  } finally {
    await client.end().catch(() => undefined);
  }
  throw new Error('PostgreSQL still has room for its write-ahead log');
}

async function statusOf(stack: Stack, name: PartName): Promise<PartStatus> {
  const status = (await stack.status()).find((part) => part.name === name);
  if (status === undefined) throw new Error(`the stack has no ${name}`);
  return status;
}
