import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The clone this package lies in: the first folder upwards that holds the build files of the local servers. */
export function repositoryRoot(): string {
  let folder = import.meta.dirname;
  while (!existsSync(join(folder, 'deploy', 'kafka', 'pom.xml'))) {
    const parent = dirname(folder);
    if (parent === folder) throw new Error('deploy/kafka/pom.xml was not found above @tracehound/stack');
    folder = parent;
  }
  return folder;
}
