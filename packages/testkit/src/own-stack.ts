import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openStack, type Stack, type StackOptions } from '@tracehound/stack';

/** Servers of a test file's own, which it may stop, fill or take rights from. `close` leaves nothing of them. */
export type OwnStack = { readonly stack: Stack; close(): Promise<void> };

/** Starts native servers in a folder for temporary files. */
export async function openOwnStack(options: Omit<StackOptions, 'directory' | 'mode'>): Promise<OwnStack> {
  const directory = await mkdtemp(join(tmpdir(), 'tracehound-own-'));
  const stack = await openStack({ ...options, directory, mode: 'native' });
  return {
    stack,
    async close() {
      await stack.stop({ wipe: true });
      await rm(directory, { recursive: true, force: true });
    },
  };
}
