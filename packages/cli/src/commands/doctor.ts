import { statfs } from 'node:fs/promises';
import {
  checkPrerequisites,
  describeKafka,
  findStack,
  isDockerAvailable,
  postgresFlavor,
  postgresVersion,
  redisConfig,
  registryCompatibility,
  repositoryRoot,
  type Stack,
} from '@tracehound/stack';
import { columns } from '../render/columns.ts';
import type { Terminal } from '../terminal.ts';

export type DoctorOptions = {
  /** Folder of the stack, `.tracehound/<name>`. */
  readonly directory: string;
  readonly format?: 'table' | 'json';
  readonly environment?: NodeJS.ProcessEnv;
};

/** `note`: works, but is worth knowing; only `failed` makes the exit code 1. */
export type DoctorCheck = {
  readonly name: string;
  readonly result: 'ok' | 'note' | 'failed';
  readonly detail: string;
  /** What to do about it; empty when there is nothing to do. */
  readonly remedy: string;
};

/** Less room than this and PostgreSQL or Kafka stop writing within a working day. */
const DISK_FREE_MIN = 2 * 1024 ** 3;
/** Kafka data of X1 have three copies; fewer and an acknowledged record can die with a machine. */
const KAFKA_COPIES_MIN = 3;
const POSTGRES_MAJOR_MIN = 15;

/** Looks at the machine and at the running servers. Exit code 1 when a check failed, with the remedy beside it. */
export async function runDoctor(options: DoctorOptions, terminal: Terminal): Promise<number> {
  const environment = options.environment ?? process.env;
  const stack = await findStack({ directory: options.directory, environment });
  const checks = [
    checkNode(),
    await checkDisk(),
    ...(stack?.mode === 'env' ? [] : await checkMachine(environment)),
    ...(stack === null ? [notStarted('no stack here')] : await checkServers(stack)),
  ];
  const failed = checks.filter(({ result }) => result === 'failed').length;
  if (options.format === 'json') terminal.out(JSON.stringify({ ok: failed === 0, mode: stack?.mode ?? null, checks }));
  else terminal.out(checkTable(checks));
  return failed === 0 ? 0 : 1;
}

function checkTable(checks: readonly DoctorCheck[]): string {
  const rows = checks.map(({ name, result, detail, remedy }) => [
    result,
    name,
    remedy === '' ? detail : `${detail} -> ${remedy}`,
  ]);
  return columns(['RESULT', 'CHECK', 'DETAIL'], rows);
}

function checkNode(): DoctorCheck {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const isNewEnough = major > 24 || (major === 24 && minor >= 21);
  const remedy = isNewEnough ? '' : 'start through npm start or ./tracehound, which bring their own Node.js';
  return { name: 'node', result: isNewEnough ? 'ok' : 'failed', detail: process.versions.node, remedy };
}

async function checkDisk(): Promise<DoctorCheck> {
  const { bavail, bsize } = await statfs(repositoryRoot());
  const free = bavail * bsize;
  const detail = `${(free / 1024 ** 3).toFixed(1)} GiB free`;
  if (free >= DISK_FREE_MIN) return { name: 'disk', result: 'ok', detail, remedy: '' };
  return { name: 'disk', result: 'failed', detail, remedy: 'free at least 2 GiB where the clone lies' };
}

/** What native servers would need; with Docker or finished caches some of it is only worth a note. */
async function checkMachine(environment: NodeJS.ProcessEnv): Promise<readonly DoctorCheck[]> {
  const [hasDocker, prerequisites] = await Promise.all([
    isDockerAvailable(),
    checkPrerequisites({
      kinds: ['kafka', 'registry', 'redis-state', 'redis-edge', 'postgres'],
      postgresFlavor: postgresFlavor(environment),
      isKafkaCached: false,
      isRegistryCached: false,
    }),
  ]);
  const docker: DoctorCheck = {
    name: 'docker',
    result: hasDocker ? 'ok' : 'note',
    detail: hasDocker ? 'an engine answers' : 'no engine answers; servers run as native processes',
    remedy: '',
  };
  const programs = prerequisites.map(({ name, ok, found, needed, remedy }): DoctorCheck => {
    if (ok) return { name, result: 'ok', detail: found ?? '', remedy: '' };
    const detail = `found ${found ?? 'nothing'}, needs ${needed}`;
    return { name, result: hasDocker ? 'note' : 'failed', detail, remedy };
  });
  return [docker, ...programs];
}

function notStarted(detail: string): DoctorCheck {
  return { name: 'servers', result: 'note', detail, remedy: 'start them with: tracehound up' };
}

async function checkServers(stack: Stack): Promise<readonly DoctorCheck[]> {
  const statuses = await stack.status();
  if (statuses.every(({ state }) => state === 'stopped')) return [notStarted('all are down, their data are kept')];
  const healths = statuses.map(({ name, state, address, detail, log }): DoctorCheck => {
    if (state === 'running') return { name, result: 'ok', detail: `${address} ${detail}`, remedy: '' };
    const remedy =
      stack.mode === 'env'
        ? `see the server at ${address}`
        : `tracehound up${log === null ? '' : `; its log is ${log}`}`;
    return { name, result: 'failed', detail: `${address} ${state}: ${detail}`, remedy };
  });
  const running = new Set(statuses.filter(({ state }) => state === 'running').map(({ name }) => name));
  const { addresses } = stack;
  const settings = await Promise.all([
    running.has('kafka-1') ? checkKafkaCopies(addresses.kafkaBrokers[0] ?? '') : [],
    running.has('redis-state') ? checkRedisPolicy(addresses.redisStateUrl) : [],
    running.has('registry') ? checkCompatibility(addresses.registryUrl) : [],
    running.has('postgres') ? checkPostgres(addresses.postgresUrl) : [],
  ]);
  return [...healths, ...settings.flat()];
}

async function checkKafkaCopies(broker: string): Promise<DoctorCheck> {
  const { brokers } = await describeKafka(broker);
  const name = 'kafka durability';
  if (brokers.length >= KAFKA_COPIES_MIN)
    return { name, result: 'ok', detail: `${brokers.length} brokers`, remedy: '' };
  return {
    name,
    result: 'note',
    detail: `${brokers.length} broker(s): acknowledged records have a single copy`,
    remedy: 'fine for development; production needs three brokers and min.insync.replicas=2',
  };
}

async function checkRedisPolicy(url: string): Promise<DoctorCheck> {
  const name = 'redis state policy';
  const policy = await redisConfig(url, 'maxmemory-policy').catch(() => null);
  if (policy === 'noeviction') return { name, result: 'ok', detail: policy, remedy: '' };
  if (policy === null) {
    return {
      name,
      result: 'note',
      detail: 'CONFIG GET is refused',
      remedy: 'make sure its maxmemory-policy is noeviction',
    };
  }
  const remedy = 'set maxmemory-policy noeviction: an evicted key is lost window state';
  return { name, result: 'failed', detail: policy, remedy };
}

async function checkCompatibility(url: string): Promise<DoctorCheck> {
  const name = 'registry compatibility';
  const level = await registryCompatibility(url);
  if (level === 'FULL_TRANSITIVE') return { name, result: 'ok', detail: level, remedy: '' };
  const remedy = 'PUT /config {"compatibility":"FULL_TRANSITIVE"}: old and new services must read each other';
  return { name, result: 'failed', detail: level, remedy };
}

async function checkPostgres(url: string): Promise<DoctorCheck> {
  const name = 'postgres version';
  const version = await postgresVersion(url);
  if (Number.parseInt(version, 10) >= POSTGRES_MAJOR_MIN) return { name, result: 'ok', detail: version, remedy: '' };
  return { name, result: 'failed', detail: version, remedy: `upgrade to PostgreSQL ${POSTGRES_MAJOR_MIN} or newer` };
}
