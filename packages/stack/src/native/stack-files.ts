import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { StackError } from '../errors.ts';
import type { PartName, StackMode } from '../stack.ts';

/** Where the files of one stack lie. */
export type StackFiles = {
  readonly directory: string;
  readonly state: string;
  readonly lock: string;
  readonly services: string;
  pid(name: PartName): string;
  log(name: PartName): string;
  data(name: PartName): string;
};

export function stackFiles(directory: string): StackFiles {
  return {
    directory,
    state: join(directory, 'stack.json'),
    lock: join(directory, 'stack.lock'),
    services: join(directory, 'services'),
    pid: (name) => join(directory, 'pids', `${name}.json`),
    log: (name) => join(directory, 'logs', `${name}.log`),
    data: (name) => join(directory, 'data', name),
  };
}

/** A short name for the folder that is the same in every run: two clones never meet in a shared place. */
export function directoryHash(directory: string): string {
  return createHash('sha256').update(directory).digest('hex').slice(0, 16);
}

/** What a stack keeps from one `up` to the next. Ports are stable so that clients find a restarted server. */
export type StackState = {
  readonly mode: Exclude<StackMode, 'env'>;
  readonly brokers: 1 | 3;
  readonly parts: readonly PartName[];
  /** By part; `kafka-1/controller` is the second listener of a broker, `…/linked` and `…/link` those of its link. */
  readonly ports: Readonly<Record<string, number>>;
  /** Absent in files of before it was an option: brokers without an authorizer. */
  readonly kafkaAuthorizer?: boolean;
  /** A random UUID in URL-safe base64, as Kafka's storage tool wants it. */
  readonly kafkaClusterId: string;
  /** Of the PostgreSQL superuser `postgres`, on loopback only. */
  readonly postgresPassword: string;
};

export function newClusterId(): string {
  return randomBytes(16).toString('base64url');
}

/** Null when there is no stack in the folder yet. */
export async function readState(files: StackFiles): Promise<StackState | null> {
  let text: string;
  try {
    text = await readFile(files.state, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
  try {
    return parseState(JSON.parse(text));
  } catch (cause) {
    throw new StackError(
      'SEC_STACK_STATE_INVALID',
      `${files.state} cannot be read; delete the folder ${files.directory} to start anew`,
      { cause },
    );
  }
}

/** Replaces the file in one step; only the owner may read it (it holds the local database password). */
export async function writeState(files: StackFiles, state: StackState): Promise<void> {
  await mkdir(files.directory, { recursive: true });
  const draft = `${files.state}.${process.pid}`;
  await writeFile(draft, `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600 });
  await rename(draft, files.state);
}

function parseState(parsed: unknown): StackState {
  // We wrote this file ourselves; the check is for files of other versions and for torn ones.
  const state = parsed as Partial<StackState>;
  const isWhole =
    (state.mode === 'native' || state.mode === 'docker') &&
    (state.brokers === 1 || state.brokers === 3) &&
    Array.isArray(state.parts) &&
    typeof state.ports === 'object' &&
    typeof state.kafkaClusterId === 'string' &&
    typeof state.postgresPassword === 'string';
  if (!isWhole) throw new TypeError('a key is missing');
  return parsed as StackState;
}
