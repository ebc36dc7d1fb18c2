import { existsSync } from 'node:fs';
import { chown, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { StackError } from '../errors.ts';
import { ensureDatabases } from '../probes/postgres-probe.ts';
import { repositoryRoot } from '../repository-root.ts';
import { portOf } from './kafka-server.ts';
import { REGISTRY_DATABASE } from './registry-server.ts';
import { runTool, toolVersion } from './run-tool.ts';
import type { ServerDefinition } from './server-process.ts';
import { directoryHash, type StackFiles, type StackState } from './stack-files.ts';

/** The database the URL of a stack names. */
export const MAIN_DATABASE = 'tracehound';

/**
 * PostgreSQL refuses to run as root, and its OS user cannot enter a clone under root's home (mode 0700). So when
 * root starts it, binaries and data lie here instead, apart for every stack folder.
 */
const ROOT_OWNED_PARENT = '/var/lib/tracehound';

const OS_USER = 'postgres';

export type PostgresPlace = {
  /** Where shared binaries are copied to. */
  readonly binariesParent: string;
  /** The cluster; `wipe` deletes it. */
  readonly dataParent: string;
  readonly user: { readonly uid: number; readonly gid: number } | null;
};

/** Decides where PostgreSQL lives and as whom it runs; makes the OS user when root needs one. */
export async function postgresPlace(files: StackFiles, cache: string): Promise<PostgresPlace> {
  const dataParent = postgresData(files);
  if (!isRoot()) return { binariesParent: cache, dataParent, user: null };
  return { binariesParent: ROOT_OWNED_PARENT, dataParent, user: await ensureOsUser() };
}

/** Where the clusters of a stack lie. */
export function postgresData(files: StackFiles): string {
  return isRoot() ? join(ROOT_OWNED_PARENT, directoryHash(files.directory)) : files.data('postgres');
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}

export function postgresServer(options: {
  state: StackState;
  files: StackFiles;
  place: PostgresPlace;
  /** Folder of `initdb` and `postgres`. */
  binaries: string;
  /** Part of the data folder's name: clusters of different majors live side by side. */
  major: string;
  /** Of the server, with user and password. */
  url: string;
  settings: Readonly<Record<string, string>>;
  probe: () => Promise<string>;
}): ServerDefinition {
  const { state, place } = options;
  const data = join(place.dataParent, `cluster-${options.major}`);
  const port = String(portOf(state, 'postgres'));
  const settings = { ...options.settings, port, listen_addresses: '127.0.0.1', unix_socket_directories: '' };
  return {
    name: 'postgres',
    address: `127.0.0.1:${port}`,
    after: [],
    user: place.user,
    command: join(options.binaries, 'postgres'),
    args: ['-D', data, ...Object.entries(settings).flatMap(([key, value]) => ['-c', `${key}=${value}`])],
    stopSignal: 'SIGINT', // "fast": open sessions are ended, committed data is flushed
    probe: options.probe,
    settle: () => ensureDatabases(adminUrl(options.url), [MAIN_DATABASE, REGISTRY_DATABASE]),
    async prepare() {
      if (existsSync(join(data, 'PG_VERSION'))) return;
      await mkdir(place.dataParent, { recursive: true });
      if (place.user) await chown(place.dataParent, place.user.uid, place.user.gid);
      await initCluster({ ...options, data });
    },
  };
}

/** Fills a draft folder and renames it, so that an interrupted initdb leaves no half cluster behind. */
async function initCluster(options: {
  state: StackState;
  place: PostgresPlace;
  binaries: string;
  data: string;
}): Promise<void> {
  const { place, data } = options;
  const draft = `${data}.draft`;
  const passwordFile = `${data}.password`;
  await rm(draft, { recursive: true, force: true });
  await writeFile(passwordFile, `${options.state.postgresPassword}\n`, { mode: 0o600 });
  try {
    if (place.user) await chown(passwordFile, place.user.uid, place.user.gid);
    await runTool(
      join(options.binaries, 'initdb'),
      // Locale C sorts by bytes on every system and version, so indexes never depend on the machine's libc.
      [
        '-D',
        draft,
        '-U',
        'postgres',
        '-A',
        'scram-sha-256',
        `--pwfile=${passwordFile}`,
        '-E',
        'UTF8',
        '--locale=C',
        '--no-instructions',
      ],
      { cwd: '/', user: place.user },
    );
    await rename(draft, data);
  } finally {
    await rm(passwordFile, { force: true });
  }
}

/** `key = value` lines of deploy/servers/postgres.conf; passed as arguments, since the OS user may not read the clone. */
export async function postgresSettings(): Promise<Record<string, string>> {
  const text = await readFile(join(repositoryRoot(), 'deploy', 'servers', 'postgres.conf'), 'utf8');
  const pairs = text
    .split('\n')
    .filter((line) => line.includes('=') && !line.startsWith('#'))
    .map((line) => line.split('=').map((side) => side.trim()));
  return Object.fromEntries(pairs);
}

/** The same server, in the database that exists from the beginning. */
function adminUrl(url: string): string {
  const admin = new URL(url);
  admin.pathname = '/postgres';
  return admin.href;
}

async function ensureOsUser(): Promise<{ uid: number; gid: number }> {
  const known = await osUserIds();
  if (known !== null) return known;
  await runTool('useradd', ['--system', '--user-group', '--no-create-home', '--shell', '/usr/sbin/nologin', OS_USER]);
  const made = await osUserIds();
  if (made === null) throw new StackError('SEC_STACK_TOOL_FAILED', `the OS user ${OS_USER} could not be made`);
  return made;
}

async function osUserIds(): Promise<{ uid: number; gid: number } | null> {
  const [uid, gid] = await Promise.all([toolVersion('id', ['-u', OS_USER]), toolVersion('id', ['-g', OS_USER])]);
  return uid === null || gid === null ? null : { uid: Number(uid), gid: Number(gid) };
}
