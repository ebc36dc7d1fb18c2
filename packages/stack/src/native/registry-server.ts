import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { COMPATIBILITY, settleRegistry } from '../probes/registry-probe.ts';
import { portOf } from './kafka-server.ts';
import type { ServerDefinition } from './server-process.ts';
import type { StackFiles, StackState } from './stack-files.ts';

/** The registry's own database: schema ids have to survive a restart, or records could not be read any more. */
export const REGISTRY_DATABASE = 'schema_registry';

export function registryServer(options: {
  state: StackState;
  files: StackFiles;
  binary: string;
  probe: () => Promise<string>;
}): ServerDefinition {
  const { state, files } = options;
  const folder = files.data('registry');
  const config = join(folder, 'config.yaml');
  const port = portOf(state, 'registry');
  return {
    name: 'registry',
    address: `127.0.0.1:${port}`,
    after: ['postgres'],
    user: null,
    command: options.binary,
    args: ['--config', config],
    stopSignal: 'SIGTERM',
    probe: options.probe,
    async prepare() {
      await mkdir(folder, { recursive: true });
      await writeFile(config, registryConfig(state), { mode: 0o600 });
    },
    settle: () => settleRegistry(`http://127.0.0.1:${port}`),
  };
}

/** JSON is YAML, so values need no quoting rules. */
function registryConfig(state: StackState): string {
  return JSON.stringify({
    server: { host: '127.0.0.1', port: portOf(state, 'registry') },
    storage: {
      type: 'postgresql',
      postgresql: {
        host: '127.0.0.1',
        port: portOf(state, 'postgres'),
        database: REGISTRY_DATABASE,
        user: 'postgres',
        password: state.postgresPassword,
        ssl_mode: 'disable',
        max_open_conns: 10,
      },
    },
    compatibility: { default_level: COMPATIBILITY },
    logging: { level: 'warn', format: 'json' },
    security: { auth: { enabled: false } },
  });
}
