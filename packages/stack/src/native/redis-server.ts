import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { repositoryRoot } from '../repository-root.ts';
import { portOf } from './kafka-server.ts';
import type { ServerDefinition } from './server-process.ts';
import type { StackFiles, StackState } from './stack-files.ts';

export function redisServer(options: {
  name: 'redis-state' | 'redis-edge';
  state: StackState;
  files: StackFiles;
  probe: () => Promise<string>;
}): ServerDefinition {
  const { name, state, files } = options;
  const folder = files.data(name);
  const config = join(folder, 'redis.conf');
  const port = String(portOf(state, name));
  return {
    name,
    address: `127.0.0.1:${port}`,
    after: [],
    user: null,
    command: 'redis-server',
    args: [config, '--bind', '127.0.0.1', '--port', port, '--dir', folder, '--daemonize', 'no'],
    stopSignal: 'SIGTERM',
    probe: options.probe,
    async prepare() {
      await mkdir(folder, { recursive: true });
      await copyFile(join(repositoryRoot(), 'deploy', 'servers', `${name}.conf`), config);
    },
  };
}
