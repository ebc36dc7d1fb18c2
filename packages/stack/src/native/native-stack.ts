import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { rm, rmdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { environmentOf, type StackAddresses } from '../addresses.ts';
import { StackError } from '../errors.ts';
import { probeOf } from '../probes/health-checks.ts';
import {
  kindOf,
  type PartEnvironment,
  type PartKind,
  type PartName,
  type PartStatus,
  type Stack,
  type StackPart,
  type StopOptions,
} from '../stack.ts';
import {
  cacheDirectory,
  ensureKafkaJars,
  ensurePostgresBinaries,
  ensureRegistryBinary,
  kafkaJarsFolder,
  registryBinary,
} from './caches.ts';
import { withFileLock } from './file-lock.ts';
import { isPortFree, takeFreePort } from './free-ports.ts';
import { brokerListeners, kafkaServer, linkOf, portOf } from './kafka-server.ts';
import { MAIN_DATABASE, postgresData, postgresPlace, postgresServer, postgresSettings } from './postgres-server.ts';
import {
  debianPostgresBinaries,
  ensurePrerequisites,
  type PrerequisiteScope,
  postgresFlavor,
} from './prerequisites.ts';
import { redisServer } from './redis-server.ts';
import { registryServer } from './registry-server.ts';
import { readLiveIdentity, type ServerDefinition, ServerProcess } from './server-process.ts';
import { newClusterId, readState, type StackFiles, type StackState, stackFiles, writeState } from './stack-files.ts';

export type NativeStackOptions = {
  readonly directory: string;
  readonly brokers: 1 | 3;
  readonly brokerLinks: boolean;
  readonly kafkaAuthorizer: boolean;
  readonly partEnvironment: PartEnvironment;
  readonly kinds: readonly PartKind[];
  readonly environment: NodeJS.ProcessEnv;
  readonly onProgress: (line: string) => void;
};

/**
 * Starts what is not running and returns when every server is healthy. A second call finds the running servers.
 * When one server cannot start, the ones started by this call are ended again and the reason is thrown.
 */
export async function openNativeStack(options: NativeStackOptions): Promise<Stack> {
  const files = stackFiles(options.directory);
  const open = async (): Promise<Stack> => {
    const state = await settleState(files, options);
    const servers = await processesOf(files, state, options);
    await ensureAll(servers, options.onProgress);
    return nativeStack(files, state, servers);
  };
  return withFileLock(files.lock, open, {
    onWait: (holder) => options.onProgress(`waiting for process ${holder}, which is starting or ending this stack`),
  });
}

/** The native stack of a folder as it is, without starting anything; null when there is none. */
export async function findNativeStack(directory: string, environment: NodeJS.ProcessEnv): Promise<Stack | null> {
  const files = stackFiles(directory);
  const state = await readState(files);
  if (state === null || state.mode !== 'native') return null;
  const kinds = [...new Set(state.parts.map(kindOf))];
  const servers = await processesOf(files, state, {
    kinds,
    environment,
    onProgress: () => undefined,
    isFindOnly: true,
  });
  return nativeStack(files, state, servers);
}

/** Where a native stack of this folder keeps the files of a part; it need not be there yet. */
export function dataFolder(directory: string, name: PartName): string {
  const files = stackFiles(resolve(directory));
  return name === 'postgres' ? postgresData(files) : files.data(name);
}

/** Keeps what is known, adds parts newly asked for, and moves a stopped server whose port somebody else took. */
async function settleState(files: StackFiles, options: NativeStackOptions): Promise<StackState> {
  const known = await readState(files);
  if (known !== null && known.mode !== 'native') {
    throw new StackError(
      'SEC_STACK_STATE_INVALID',
      `the stack in ${files.directory} runs in Docker; end it first (tracehound down)`,
    );
  }
  if (known !== null && known.brokers !== options.brokers) {
    throw new StackError(
      'SEC_STACK_STATE_INVALID',
      `the stack in ${files.directory} has ${known.brokers} broker(s), not ${options.brokers}; use another folder or wipe it`,
      { category: 'conflict' },
    );
  }
  const parts = partsOf(options.kinds, options.brokers);
  const state: StackState = {
    mode: 'native',
    brokers: options.brokers,
    parts: [...new Set([...(known?.parts ?? []), ...parts])],
    ports: await settlePorts(files, known, { parts, brokerLinks: options.brokerLinks }),
    kafkaAuthorizer: options.kafkaAuthorizer,
    kafkaClusterId: known?.kafkaClusterId ?? newClusterId(),
    postgresPassword: known?.postgresPassword ?? randomBytes(12).toString('hex'),
  };
  await writeState(files, state);
  return state;
}

async function settlePorts(
  files: StackFiles,
  known: StackState | null,
  { parts, brokerLinks }: { readonly parts: readonly PartName[]; readonly brokerLinks: boolean },
): Promise<Record<string, number>> {
  const ports: Record<string, number> = { ...known?.ports };
  const taken = new Set(Object.values(ports));
  for (const part of parts) {
    if ((await readLiveIdentity(files.pid(part))) !== null) continue;
    for (const listener of kindOf(part) === 'kafka' ? brokerListeners(part, brokerLinks) : [part]) {
      const port = ports[listener];
      if (port === undefined || !(await isPortFree(port))) ports[listener] = await takeFreePort(taken);
    }
  }
  return ports;
}

/** The registry keeps its schemas in PostgreSQL and cannot be without it. */
function partsOf(kinds: readonly PartKind[], brokers: 1 | 3): readonly PartName[] {
  const all: readonly PartName[] = [
    ...(brokers === 3 ? (['kafka-1', 'kafka-2', 'kafka-3'] as const) : (['kafka-1'] as const)),
    'postgres',
    'registry',
    'redis-state',
    'redis-edge',
  ];
  return all.filter((part) => kinds.includes(kindOf(part)) || (part === 'postgres' && kinds.includes('registry')));
}

type ProcessOptions = {
  readonly kinds: readonly PartKind[];
  readonly environment: NodeJS.ProcessEnv;
  readonly onProgress: (line: string) => void;
  readonly partEnvironment?: PartEnvironment;
  /** Installs nothing, fetches no Kafka and builds no registry: what is running has them already. */
  readonly isFindOnly?: boolean;
};

async function processesOf(
  files: StackFiles,
  state: StackState,
  options: ProcessOptions,
): Promise<readonly ServerProcess[]> {
  const binaries = await binariesFor(files, options);
  const parts = partsOf(options.kinds, state.brokers).filter((part) => state.parts.includes(part));
  const definitions = parts.map((name) =>
    defineServer({ name, state, files, binaries, cache: cacheDirectory(options.environment) }),
  );
  return (await Promise.all(definitions)).map(
    (definition) =>
      new ServerProcess(
        { ...definition, environment: options.partEnvironment?.[kindOf(definition.name)] ?? {} },
        { pid: files.pid(definition.name), log: files.log(definition.name) },
      ),
  );
}

async function defineServer(options: {
  name: PartName;
  state: StackState;
  files: StackFiles;
  binaries: Binaries;
  cache: string;
}): Promise<ServerDefinition> {
  const { name, state, files, binaries } = options;
  const addresses = addressesOf(state);
  const common = { state, files, probe: probeOf(name, withoutDatabase(addresses)) };
  switch (name) {
    case 'kafka-1':
    case 'kafka-2':
    case 'kafka-3':
      return kafkaServer({ ...common, name, jarsFolder: binaries.kafkaJars });
    case 'redis-state':
    case 'redis-edge':
      return redisServer({ ...common, name });
    case 'registry':
      return registryServer({ ...common, binary: binaries.registry });
    case 'postgres': {
      const [place, settings] = await Promise.all([postgresPlace(files, options.cache), postgresSettings()]);
      const { folder, major } = binaries.postgres;
      return postgresServer({ ...common, url: addresses.postgresUrl, place, settings, binaries: folder, major });
    }
  }
}

type Binaries = {
  readonly kafkaJars: string;
  readonly registry: string;
  readonly postgres: { readonly folder: string; readonly major: string };
};

/** Everything to be fetched, built or installed, in parallel; free when it is already there. */
async function binariesFor(files: StackFiles, options: ProcessOptions): Promise<Binaries> {
  const cache = cacheDirectory(options.environment);
  const flavor = postgresFlavor(options.environment);
  const [kafkaJars, registry] = await Promise.all([kafkaJarsFolder(cache), registryBinary(cache)]);
  const scope: PrerequisiteScope = {
    kinds: options.kinds,
    postgresFlavor: flavor,
    isKafkaCached: existsSync(kafkaJars),
    isRegistryCached: existsSync(registry),
  };
  const makes = (kind: PartKind): boolean => options.kinds.includes(kind) && options.isFindOnly !== true;
  const needsPostgres = options.kinds.includes('postgres') || options.kinds.includes('registry');
  if (options.isFindOnly !== true) await ensurePrerequisites(scope, options.onProgress);
  const postgres = async (): Promise<Binaries['postgres']> => {
    if (!needsPostgres) return { folder: '', major: '' };
    if (flavor === 'system') return debianPostgresBinaries();
    const { binariesParent } = await postgresPlace(files, cache);
    return { folder: join(await ensurePostgresBinaries(binariesParent, options.onProgress), 'bin'), major: '18' };
  };
  const [, , postgresBinaries] = await Promise.all([
    makes('kafka') ? ensureKafkaJars(cache, options.onProgress) : kafkaJars,
    makes('registry') ? ensureRegistryBinary(cache, options.onProgress) : registry,
    postgres(),
  ]);
  return { kafkaJars, registry, postgres: postgresBinaries };
}

/** In parallel, each after the servers it needs. */
async function ensureAll(servers: readonly ServerProcess[], onProgress: (line: string) => void): Promise<void> {
  const ready = new Map<PartName, Promise<boolean>>();
  const begun = performance.now();
  const ensure = async (server: ServerProcess): Promise<boolean> => {
    for (const name of server.definition.after) await ready.get(name);
    const started = await server.ensure(onProgress);
    if (started) {
      const seconds = ((performance.now() - begun) / 1000).toFixed(1);
      onProgress(`${server.definition.name} is up on ${server.definition.address} (${seconds} s)`);
    }
    return started;
  };
  // Definitions come in an order in which a server follows those it needs.
  for (const server of servers) ready.set(server.definition.name, ensure(server));
  const outcomes = await Promise.allSettled(ready.values());
  const failure = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failure === undefined) return;
  const startedHere = servers.filter((_server, index) => {
    const outcome = outcomes[index];
    return outcome?.status === 'fulfilled' && outcome.value;
  });
  await Promise.allSettled(startedHere.map((server) => server.stop()));
  throw failure.reason;
}

function addressesOf(state: StackState): StackAddresses {
  const port = (part: PartName): number => state.ports[part] ?? 0; // 0: the stack was opened without this part
  const brokers = state.parts.filter((part) => kindOf(part) === 'kafka');
  return {
    kafkaBrokers: brokers.map((broker) => `127.0.0.1:${portOf(state, broker)}`),
    registryUrl: `http://127.0.0.1:${port('registry')}`,
    redisStateUrl: `redis://127.0.0.1:${port('redis-state')}`,
    redisEdgeUrl: `redis://127.0.0.1:${port('redis-edge')}`,
    postgresUrl: `postgres://postgres:${state.postgresPassword}@127.0.0.1:${port('postgres')}/${MAIN_DATABASE}`,
  };
}

/** While PostgreSQL starts for the first time, only the database `postgres` exists. */
function withoutDatabase(addresses: StackAddresses): StackAddresses {
  const url = new URL(addresses.postgresUrl);
  url.pathname = '/postgres';
  return { ...addresses, postgresUrl: url.href };
}

function nativeStack(files: StackFiles, state: StackState, servers: readonly ServerProcess[]): Stack {
  const addresses = addressesOf(state);
  const parts = servers.map(partOf);
  return {
    mode: 'native',
    addresses,
    brokerLinks: state.parts.flatMap((part) => linkOf(state, part) ?? []),
    parts,
    part(name) {
      const found = parts.find((part) => part.name === name);
      if (found === undefined) throw new StackError('SEC_STACK_UNKNOWN_PART', `this stack has no ${name}`);
      return found;
    },
    environment: () => environmentOf(addresses),
    status: () => Promise.all(servers.map(statusOf)),
    stop: (options) => stopAll(files, servers, options),
  };
}

function partOf(server: ServerProcess): StackPart {
  const { name, address } = server.definition;
  return {
    name,
    address,
    health: () => server.health(),
    kill: (signal = 'SIGKILL') => server.kill(signal),
    pause: () => server.pause(),
    resume: () => server.resume(),
    async restart() {
      await server.stop();
      await server.start();
    },
  };
}

async function statusOf(server: ServerProcess): Promise<PartStatus> {
  const { name, address } = server.definition;
  const identity = await server.running();
  const log = server.logFile;
  if (identity === null) return { name, address, log, pid: null, state: 'stopped', detail: 'no process' };
  const health = await server.health();
  return { name, address, log, pid: identity.pid, state: health.ok ? 'running' : 'unhealthy', detail: health.detail };
}

async function stopAll(files: StackFiles, servers: readonly ServerProcess[], options: StopOptions = {}): Promise<void> {
  const stop = async (): Promise<void> => {
    // Data that is deleted right after needs no orderly end.
    if (options.wipe) await Promise.all(servers.map((server) => server.kill('SIGKILL')));
    const dependants = servers.filter(({ definition }) => definition.after.length > 0);
    const others = servers.filter(({ definition }) => definition.after.length === 0);
    for (const group of [dependants, others]) await Promise.all(group.map((server) => server.stop()));
    if (options.wipe) await wipe(files, servers);
  };
  await withFileLock(files.lock, stop);
  // Whatever else lies there (secrets, logs of services) is not ours to delete.
  if (options.wipe) await rmdir(files.directory).catch(() => undefined);
}

async function wipe(files: StackFiles, servers: readonly ServerProcess[]): Promise<void> {
  await rm(postgresData(files), { recursive: true, force: true });
  for (const server of servers) await rm(server.logFile, { force: true });
  for (const folder of ['data', 'pids']) await rm(join(files.directory, folder), { recursive: true, force: true });
  await rm(files.state, { force: true });
  for (const folder of ['logs', 'services']) await rmdir(join(files.directory, folder)).catch(() => undefined);
}
