import { existsSync } from 'node:fs';
import { StackError } from '../errors.ts';
import type { PartKind } from '../stack.ts';
import { runTool, toolVersion } from './run-tool.ts';

/** A program of the machine that native servers need. */
export type Prerequisite = {
  readonly name: string;
  /** What it is needed for. */
  readonly purpose: string;
  readonly needed: string;
  /** What was found, or null when it is missing or too old. */
  readonly found: string | null;
  readonly ok: boolean;
  readonly remedy: string;
  /** Debian package that brings a version good enough, or null. */
  readonly debianPackage: string | null;
};

export type PrerequisiteScope = {
  readonly kinds: readonly PartKind[];
  readonly postgresFlavor: PostgresFlavor;
  /** What is cached needs no tool to build it. */
  readonly isKafkaCached: boolean;
  readonly isRegistryCached: boolean;
};

/** `embedded`: PostgreSQL 18 from npm. `system`: the newest one Debian installed under /usr/lib/postgresql. */
export type PostgresFlavor = 'embedded' | 'system';

/** TRACEHOUND_POSTGRES_FLAVOR; anything else than the two words is refused. */
export function postgresFlavor(environment: NodeJS.ProcessEnv): PostgresFlavor {
  const word = environment['TRACEHOUND_POSTGRES_FLAVOR'] ?? 'embedded';
  if (word === 'embedded' || word === 'system') return word;
  throw new StackError('SEC_STACK_STATE_INVALID', 'TRACEHOUND_POSTGRES_FLAVOR must be embedded or system', {
    category: 'invalid_input',
  });
}

const DEBIAN_POSTGRES = '/usr/lib/postgresql';

/** Looks at everything the asked-for servers need, all at once, so that a person is told only once. */
export async function checkPrerequisites(scope: PrerequisiteScope): Promise<readonly Prerequisite[]> {
  const needs = (kind: PartKind): boolean => scope.kinds.includes(kind);
  const checks: Promise<Prerequisite>[] = [];
  if (needs('kafka')) {
    checks.push(checkJava());
    if (!scope.isKafkaCached) checks.push(checkMaven());
  }
  if (needs('registry') && !scope.isRegistryCached) checks.push(checkGo());
  if (needs('redis-state') || needs('redis-edge')) checks.push(checkRedis());
  if (needs('postgres') && scope.postgresFlavor === 'system') checks.push(Promise.resolve(checkDebianPostgres()));
  return Promise.all(checks);
}

/**
 * Installs what Debian packages bring when root may do so, and throws one error that lists whatever is still
 * missing and how to get it.
 */
export async function ensurePrerequisites(scope: PrerequisiteScope, onProgress: (line: string) => void): Promise<void> {
  let missing = (await checkPrerequisites(scope)).filter((prerequisite) => !prerequisite.ok);
  const packages = missing.map(({ debianPackage }) => debianPackage).filter((name) => name !== null);
  if (packages.length > 0 && canInstallPackages()) {
    await installDebianPackages(packages, onProgress);
    missing = (await checkPrerequisites(scope)).filter((prerequisite) => !prerequisite.ok);
  }
  if (missing.length === 0) return;
  const lines = missing.map(
    ({ name, purpose, needed, found, remedy }) =>
      `  - ${name} (${purpose}): needs ${needed}, found ${found ?? 'nothing'}\n      ${remedy}`,
  );
  throw new StackError(
    'SEC_STACK_PREREQUISITE_MISSING',
    `the local servers cannot start, this is missing:\n${lines.join('\n')}`,
  );
}

/** Root on a system with apt-get: the one case where installing needs no question. */
export function canInstallPackages(): boolean {
  return process.getuid?.() === 0 && existsSync('/usr/bin/apt-get');
}

/** RUNLEVEL=1 keeps the packages from starting services of their own; we start the servers ourselves. */
export async function installDebianPackages(
  packages: readonly string[],
  onProgress: (line: string) => void,
): Promise<void> {
  const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  const install = ['install', '-y', '-q', '--no-install-recommends', ...packages];
  onProgress(`installing with apt-get: ${packages.join(', ')}`);
  try {
    await runTool('apt-get', install, { environment });
  } catch {
    // The package lists of a fresh machine are empty or old.
    try {
      await runTool('apt-get', ['update', '-q'], { environment });
      await runTool('apt-get', install, { environment });
    } catch (error) {
      onProgress(`apt-get could not install them: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}

async function checkJava(): Promise<Prerequisite> {
  const found = versionIn(await toolVersion('java', ['-version']), /version "([^"]+)"/);
  const [first, second] = (found ?? '').split('.').map(Number);
  const major = first === 1 ? second : first; // "1.8.0" is Java 8
  return {
    name: 'java',
    purpose: 'runs Kafka',
    needed: '17 or newer',
    found,
    ok: (major ?? 0) >= 17,
    remedy: 'Debian: apt-get install openjdk-17-jre-headless; macOS: brew install openjdk@17',
    debianPackage: 'default-jre-headless',
  };
}

async function checkMaven(): Promise<Prerequisite> {
  const found = versionIn(await toolVersion('mvn', ['-v', '-B']), /Apache Maven (\d\S*)/);
  return {
    name: 'mvn',
    purpose: 'fetches the jars of Kafka, once',
    needed: '3.6 or newer',
    found,
    ok: found !== null && isAtLeast(found, [3, 6]),
    remedy: 'Debian: apt-get install maven; macOS: brew install maven',
    debianPackage: 'maven',
  };
}

async function checkGo(): Promise<Prerequisite> {
  const found = versionIn(await toolVersion('go', ['version']), /go(\d[\d.]*)/);
  return {
    name: 'go',
    purpose: 'builds the schema registry, once',
    needed: '1.26, or 1.21 and newer with access to the Go module proxy (it fetches 1.26 itself)',
    found,
    ok: found !== null && isAtLeast(found, [1, 21]),
    remedy: "install it from go.dev/dl (Debian 12's own package is too old); macOS: brew install go",
    debianPackage: null,
  };
}

async function checkRedis(): Promise<Prerequisite> {
  const found = versionIn(await toolVersion('redis-server', ['--version']), /v=(\d[\d.]*)/);
  return {
    name: 'redis-server',
    purpose: 'keeps window state and rate limits',
    needed: '7.0 or newer (Redis Functions)',
    found,
    ok: found !== null && isAtLeast(found, [7, 0]),
    remedy: 'Debian: apt-get install redis-server; macOS: brew install redis',
    debianPackage: 'redis-server',
  };
}

function checkDebianPostgres(): Prerequisite {
  const found =
    ['18', '17', '16', '15'].find((major) => existsSync(`${DEBIAN_POSTGRES}/${major}/bin/postgres`)) ?? null;
  return {
    name: 'postgresql',
    purpose: 'TRACEHOUND_POSTGRES_FLAVOR=system asks for it',
    needed: `15 or newer under ${DEBIAN_POSTGRES}`,
    found,
    ok: found !== null,
    remedy: 'Debian 12: apt-get install postgresql-15; or leave TRACEHOUND_POSTGRES_FLAVOR unset',
    debianPackage: 'postgresql',
  };
}

/** The folder with initdb and postgres of the newest Debian PostgreSQL. Call after `ensurePrerequisites`. */
export function debianPostgresBinaries(): { major: string; folder: string } {
  const major = checkDebianPostgres().found;
  if (major === null) throw new StackError('SEC_STACK_PREREQUISITE_MISSING', `no PostgreSQL under ${DEBIAN_POSTGRES}`);
  return { major, folder: `${DEBIAN_POSTGRES}/${major}/bin` };
}

function versionIn(output: string | null, pattern: RegExp): string | null {
  return output === null ? null : (pattern.exec(output)?.[1] ?? null);
}

function isAtLeast(version: string, [major, minor]: readonly [number, number]): boolean {
  const [foundMajor = 0, foundMinor = 0] = version.split('.').map((part) => Number.parseInt(part, 10));
  return foundMajor > major || (foundMajor === major && foundMinor >= minor);
}
