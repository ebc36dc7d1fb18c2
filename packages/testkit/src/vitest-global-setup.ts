import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  ADDRESS_KEYS,
  findStack,
  identifyProcess,
  missingAddressKeys,
  openStack,
  repositoryRoot,
} from '@tracehound/stack';

/** Folders of test stacks begin with the process that made them, so that left-overs of a killed run can be told. */
const PREFIX = 'test-';

/**
 * Gives the run one shared stack of real servers: the one the TRACEHOUND_* environment names, else a new one whose
 * data are thrown away at the end. Workers get the addresses through the environment they inherit. Each vitest
 * project calls this; the second one finds the environment already set.
 */
export default async function setup(): Promise<() => Promise<void>> {
  if (missingAddressKeys(process.env).length === 0) return () => Promise.resolve();
  const stacks = join(repositoryRoot(), '.tracehound');
  await removeLeftOvers(stacks);
  const begun = performance.now();
  const stack = await openStack({
    directory: join(stacks, `${PREFIX}${process.pid}`),
    onProgress: (line) => process.stderr.write(`stack: ${line}\n`),
  });
  Object.assign(process.env, stack.environment());
  process.stderr.write(`stack: ${stack.mode}, ready in ${((performance.now() - begun) / 1000).toFixed(1)} s\n`);
  return async () => {
    for (const key of Object.values(ADDRESS_KEYS)) delete process.env[key];
    await stack.stop({ wipe: true });
  };
}

async function removeLeftOvers(stacks: string): Promise<void> {
  const folders = await readdir(stacks).catch(() => []);
  for (const folder of folders.filter((name) => name.startsWith(PREFIX))) {
    if (identifyProcess(Number.parseInt(folder.slice(PREFIX.length), 10)) !== null) continue;
    const stack = await findStack({ directory: join(stacks, folder), environment: {} }).catch(() => null);
    await stack?.stop({ wipe: true });
  }
}
