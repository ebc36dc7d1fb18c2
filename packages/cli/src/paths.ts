import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The root of the installation: the nearest folder upwards that holds `deploy/topics.yaml`. */
export function repositoryRoot(from: string = import.meta.dirname): string {
  let folder = from;
  while (!existsSync(join(folder, 'deploy', 'topics.yaml'))) {
    const parent = dirname(folder);
    if (parent === folder) throw new Error('deploy/topics.yaml was not found above the tracehound command');
    folder = parent;
  }
  return folder;
}

/** Everything that is started, written or cached here lives below this folder, which git ignores. */
export function stateDirectory(root: string, env: NodeJS.ProcessEnv = process.env): string {
  return env['TRACEHOUND_HOME'] ?? join(root, '.tracehound');
}
