import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dataFolder, openStack, type PartName, type Stack, type StackOptions } from '@tracehound/stack';
import { openSmallDisk, type SmallDisk } from './small-disk.ts';

/** Servers of a test file's own, which it may stop, fill or take rights from. `close` leaves nothing of them. */
export type OwnStack = {
  readonly stack: Stack;
  /** Where the files of a part lie. */
  data(name: PartName): string;
  close(): Promise<void>;
};

/** The same, with the files of one server on a small disk of their own. */
export type OwnStackOnSmallDisk = OwnStack & { readonly disk: SmallDisk };

type OwnStackOptions = Omit<StackOptions, 'directory' | 'mode'>;

/** Starts native servers in a folder for temporary files. */
export async function openOwnStack(options: OwnStackOptions): Promise<OwnStack> {
  return openIn(await newFolder(), options);
}

/** Needs root: see `openSmallDisk`. */
export async function openOwnStackOnSmallDisk(
  options: OwnStackOptions & { readonly disk: { readonly of: PartName; readonly bytes: number } },
): Promise<OwnStackOnSmallDisk> {
  const { disk: wanted, ...rest } = options;
  const directory = await newFolder();
  const disk = await openSmallDisk(dataFolder(directory, wanted.of), wanted.bytes);
  try {
    const own = await openIn(directory, rest);
    return {
      ...own,
      disk,
      async close() {
        // Before the servers end: their folders could not be deleted while a disk is mounted there.
        await disk.close();
        await own.close();
      },
    };
  } catch (error) {
    await disk.close();
    throw error;
  }
}

async function openIn(directory: string, options: OwnStackOptions): Promise<OwnStack> {
  const stack = await openStack({ ...options, directory, mode: 'native' });
  return {
    stack,
    data: (name) => dataFolder(directory, name),
    async close() {
      await stack.stop({ wipe: true });
      await rm(directory, { recursive: true, force: true });
    },
  };
}

function newFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'tracehound-own-'));
}
