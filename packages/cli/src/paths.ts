import { join } from 'node:path';

/** Everything that is started, written or cached here lives below this folder, which git ignores. */
export function stateDirectory(root: string, env: NodeJS.ProcessEnv = process.env): string {
  return env['TRACEHOUND_HOME'] ?? join(root, '.tracehound');
}
