import { execFile } from 'node:child_process';
import { mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A file system of a fixed size that a test fills and empties while a server runs on it. */
export type SmallDisk = {
  /**
   * Takes all the room that is left but for `leave` bytes (default 0). With none left a write that needs a new page (4 KiB)
   * says ENOSPC, whoever writes.
   */
  fill(options?: { readonly leave?: number }): Promise<void>;
  /** Gives back all that `fill` took. */
  makeRoom(): Promise<void>;
  /** Takes the file system away, also from under running servers, whose files then live until they end. Idempotent. */
  close(): Promise<void>;
};

const BALLAST = 'ballast';
/** A page of tmpfs: what a file grows by. */
const PAGE_BYTES = 4_096;
const MEBIBYTE = 1024 * 1024;

/**
 * For servers to which a limit on the size of their files (`fillDisk`) would be another fault: PostgreSQL tells a full disk
 * (ENOSPC) from all else that can go wrong with a file, and Redis is ended by the signal (SIGXFSZ) that comes with the limit.
 *
 * Mounts an empty file system in memory (tmpfs) of `bytes` on the folder, made if it is missing. Needs root and the right to
 * mount, which a container has only when it is told so; throws without.
 */
export async function openSmallDisk(folder: string, bytes: number): Promise<SmallDisk> {
  await mkdir(folder, { recursive: true });
  await run('mount', ['-t', 'tmpfs', '-o', `size=${bytes},mode=0755`, 'tracehound-test', folder]).catch(
    (cause: unknown) => {
      throw new Error('a disk of a test needs root and the right to mount', { cause });
    },
  );
  const ballast = join(folder, BALLAST);
  let isMounted = true;
  return {
    async fill({ leave = 0 } = {}) {
      const file = await open(ballast, 'a');
      try {
        for (const size of [MEBIBYTE, PAGE_BYTES]) {
          const block = Buffer.alloc(size);
          while (await fits(file.write(block))) {
            // As often as it takes.
          }
        }
        if (leave > 0) await file.truncate(Math.max(0, (await file.stat()).size - leave));
      } finally {
        await file.close();
      }
    },
    makeRoom: () => rm(ballast, { force: true }),
    async close() {
      if (!isMounted) return;
      isMounted = false;
      await run('umount', ['--lazy', folder]);
    },
  };
}

/** Whether anything was written; false when there is no room. */
async function fits(writing: Promise<{ readonly bytesWritten: number }>): Promise<boolean> {
  try {
    return (await writing).bytesWritten > 0;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOSPC') return false;
    throw error;
  }
}
