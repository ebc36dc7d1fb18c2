import { execFile } from 'node:child_process';
import { readFile, stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import type { PartName, PartStatus, Stack } from '@tracehound/stack';
import { waitFor } from './wait-for.ts';

const run = promisify(execFile);

/** Room for the last words of a server in its log; what it stores is soon larger. */
const LAST_WORDS_BYTES = 16 * 1024;

/**
 * The disk is full for a running server of a native stack until it is started again: no file grows
 * beyond the size of its log and 16 KiB. RLIMIT_FSIZE says EFBIG where a full file system says ENOSPC, to a broker an `IOException` in its log
 * directory either way; a file system of its own would need root. Throws where `prlimit` (util-linux) is missing.
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

/** Resolves when a broker whose disk is full has ended itself, and says so in its log. */
export async function endedByFullDisk(stack: Stack, name: PartName): Promise<void> {
  const { log } = await statusOf(stack, name);
  await waitFor(async () => (await statusOf(stack, name)).pid === null, {
    what: `${name} to end itself`,
    timeoutMs: 60_000,
  });
  const said = log === null ? '' : await readFile(log, 'utf8');
  if (!said.includes('File too large')) throw new Error(`${name} ended for another reason:\n${said.slice(-4_000)}`);
}

async function statusOf(stack: Stack, name: PartName): Promise<PartStatus> {
  const status = (await stack.status()).find((part) => part.name === name);
  if (status === undefined) throw new Error(`the stack has no ${name}`);
  return status;
}
