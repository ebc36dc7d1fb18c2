import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { environmentOf, type StackAddresses } from './addresses.ts';
import { StackError } from './errors.ts';
import { withFileLock } from './native/file-lock.ts';
import { takeFreePort } from './native/free-ports.ts';
import { runTool, toolVersion } from './native/run-tool.ts';
import {
  directoryHash,
  newClusterId,
  readState,
  type StackState,
  stackFiles,
  writeState,
} from './native/stack-files.ts';
import { checkHealth, probeOf } from './probes/health-checks.ts';
import { settleRegistry } from './probes/registry-probe.ts';
import { repositoryRoot } from './repository-root.ts';
import type { PartName, PartStatus, Stack, StackPart } from './stack.ts';

/** The parts of a stack in Docker and their services in docker-compose.yml. */
export const COMPOSE_SERVICES = {
  'kafka-1': 'kafka',
  registry: 'registry',
  'redis-state': 'redis-state',
  'redis-edge': 'redis-edge',
  postgres: 'postgres',
} as const;

type DockerPart = keyof typeof COMPOSE_SERVICES;

const PARTS: readonly DockerPart[] = ['postgres', 'kafka-1', 'registry', 'redis-state', 'redis-edge'];
/** Images may have to be pulled and the registry to be built. */
const READY_TIMEOUT_MS = 300_000;

/** True when a Docker engine answers (a client alone does not count) and can run compose files. */
export async function isDockerAvailable(): Promise<boolean> {
  const engine = await toolVersion('docker', ['info', '--format', '{{.ServerVersion}}']);
  return engine !== null && /^\d+\./m.test(engine) && (await composeCommand()) !== null;
}

/** `docker compose` (plugin) or `docker-compose`; null when there is neither. */
export async function composeCommand(): Promise<readonly [string, ...string[]] | null> {
  if ((await toolVersion('docker', ['compose', 'version'])) !== null) return ['docker', 'compose'];
  if ((await toolVersion('docker-compose', ['version'])) !== null) return ['docker-compose'];
  return null;
}

/** The variables of docker-compose.yml for the published ports and the password. */
export function composeVariables(state: Pick<StackState, 'ports' | 'postgresPassword'>): Record<string, string> {
  const port = (part: DockerPart): string => String(state.ports[part] ?? 0);
  return {
    TRACEHOUND_PUBLISH_KAFKA: port('kafka-1'),
    TRACEHOUND_PUBLISH_REGISTRY: port('registry'),
    TRACEHOUND_PUBLISH_REDIS_STATE: port('redis-state'),
    TRACEHOUND_PUBLISH_REDIS_EDGE: port('redis-edge'),
    TRACEHOUND_PUBLISH_POSTGRES: port('postgres'),
    TRACEHOUND_POSTGRES_PASSWORD: state.postgresPassword,
  };
}

/** Where the published servers listen on `host`. */
export function composeAddresses(
  state: Pick<StackState, 'ports' | 'postgresPassword'>,
  host = '127.0.0.1',
): StackAddresses {
  const at = (part: DockerPart): string => `${host}:${state.ports[part] ?? 0}`;
  return {
    kafkaBrokers: [at('kafka-1')],
    registryUrl: `http://${at('registry')}`,
    redisStateUrl: `redis://${at('redis-state')}`,
    redisEdgeUrl: `redis://${at('redis-edge')}`,
    postgresUrl: `postgres://postgres:${state.postgresPassword}@${at('postgres')}/tracehound`,
  };
}

/** The server part of docker-compose.yml on free ports; `directory` keeps which ports, the data lie in named volumes. */
export async function openDockerStack(options: {
  directory: string;
  environment: NodeJS.ProcessEnv;
  onProgress: (line: string) => void;
}): Promise<Stack> {
  const files = stackFiles(options.directory);
  return withFileLock(files.lock, async () => {
    const state = (await readState(files)) ?? (await newState());
    await writeState(files, state);
    const compose = await composer(options.directory, options.environment, state);
    options.onProgress('starting the servers in Docker (the first time pulls images)');
    await compose(['up', '-d', ...PARTS.map((part) => COMPOSE_SERVICES[part])], options.onProgress);
    const stack = dockerStack(options.directory, state, compose);
    await awaitHealthy(stack);
    await settleRegistry(stack.addresses.registryUrl);
    return stack;
  });
}

export async function findDockerStack(directory: string, environment: NodeJS.ProcessEnv): Promise<Stack | null> {
  const state = await readState(stackFiles(directory));
  if (state === null || state.mode !== 'docker') return null;
  return dockerStack(directory, state, await composer(directory, environment, state));
}

async function newState(): Promise<StackState> {
  const taken = new Set<number>();
  const ports: Record<string, number> = {};
  for (const part of PARTS) ports[part] = await takeFreePort(taken);
  return {
    mode: 'docker',
    brokers: 1,
    parts: PARTS,
    ports,
    kafkaClusterId: newClusterId(),
    postgresPassword: randomBytes(12).toString('hex'),
  };
}

type Compose = (args: readonly string[], onProgress?: (line: string) => void) => Promise<string>;

async function composer(directory: string, environment: NodeJS.ProcessEnv, state: StackState): Promise<Compose> {
  const command = await composeCommand();
  if (command === null)
    throw new StackError('SEC_STACK_PREREQUISITE_MISSING', 'neither docker compose nor docker-compose is installed');
  const [program, ...prefix] = command;
  const file = join(repositoryRoot(), 'docker-compose.yml');
  const project = ['-p', `tracehound-${directoryHash(directory)}`, '-f', file];
  return (args, onProgress) =>
    runTool(program, [...prefix, ...project, ...args], {
      environment: { ...environment, ...composeVariables(state) },
      onStillRunning: (seconds) => onProgress?.(`docker is still working (${seconds} s)`),
    });
}

async function awaitHealthy(stack: Stack): Promise<void> {
  const deadline = performance.now() + READY_TIMEOUT_MS;
  for (;;) {
    const sick = (await stack.status()).filter(({ state }) => state !== 'running');
    if (sick.length === 0) return;
    if (performance.now() > deadline) {
      const reasons = sick.map(({ name, detail }) => `${name}: ${detail}`).join('; ');
      throw new StackError('SEC_STACK_SERVER_FAILED', `not healthy within ${READY_TIMEOUT_MS / 1000} s: ${reasons}`);
    }
    await sleep(200);
  }
}

function dockerStack(directory: string, state: StackState, compose: Compose): Stack {
  const addresses = composeAddresses(state);
  const parts = PARTS.map((name) => dockerPart(name, state, addresses, compose));
  return {
    mode: 'docker',
    addresses,
    brokerLinks: [],
    parts,
    part(name) {
      const found = parts.find((part) => part.name === name);
      if (found === undefined) throw new StackError('SEC_STACK_UNKNOWN_PART', `a stack in Docker has no ${name}`);
      return found;
    },
    environment: () => environmentOf(addresses),
    status: () => Promise.all(parts.map(dockerStatus)),
    async stop(options = {}) {
      await withFileLock(stackFiles(directory).lock, async () => {
        await compose(options.wipe ? ['down', '-v', '--remove-orphans'] : ['down', '--remove-orphans']);
        if (options.wipe) await rm(stackFiles(directory).state, { force: true });
      });
    },
  };
}

function dockerPart(name: DockerPart, state: StackState, addresses: StackAddresses, compose: Compose): StackPart {
  const service = COMPOSE_SERVICES[name];
  const health = (): Promise<{ ok: boolean; detail: string }> => checkHealth(probeOf(name, addresses));
  return {
    name,
    address: `127.0.0.1:${state.ports[name] ?? 0}`,
    health,
    async kill(signal = 'SIGKILL') {
      await compose(['kill', '-s', signal, service]);
    },
    async pause() {
      await compose(['pause', service]);
    },
    async resume() {
      await compose(['unpause', service]);
    },
    async restart() {
      await compose(['restart', service]);
      const deadline = performance.now() + READY_TIMEOUT_MS;
      while (!(await health()).ok) {
        if (performance.now() > deadline)
          throw new StackError('SEC_STACK_SERVER_FAILED', `${name} was not healthy after its restart`);
        await sleep(200);
      }
    },
  };
}

async function dockerStatus(part: StackPart & { name: PartName }): Promise<PartStatus> {
  const health = await part.health();
  return {
    name: part.name,
    state: health.ok ? 'running' : 'stopped',
    address: part.address,
    detail: health.detail,
    pid: null,
    log: null,
  };
}
