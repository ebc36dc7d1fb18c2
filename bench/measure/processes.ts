import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Stack } from '@tracehound/stack';

/** As the `tracehound` command starts Node. */
export const NODE_FLAGS: readonly string[] = ['--max-semi-space-size=64'];

const CORRELATOR = fileURLToPath(new URL('../../services/correlator/src/main.ts', import.meta.url));

/** A correlator as production runs it, but one worker: CPU time is read of one process. */
export function startCorrelator(stack: Stack, namespace: string): ChildProcess {
  return spawn(process.execPath, [...NODE_FLAGS, ...process.execArgv, CORRELATOR], {
    env: {
      ...process.env,
      ...stack.environment(),
      TRACEHOUND_NAMESPACE: namespace,
      TRACEHOUND_LOG_LEVEL: 'error',
      TRACEHOUND_CORRELATOR_WORKERS: '1',
    },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

/** Runs one cell of a lane in a process of its own, so that no cell warms, fills or slows another. */
export function runCell<Cell, Result>(laneUrl: string, cell: Cell): Result {
  const args = [
    '--expose-gc',
    ...NODE_FLAGS,
    ...process.execArgv,
    fileURLToPath(laneUrl),
    '--cell',
    JSON.stringify(cell),
  ];
  const { status, stdout } = spawnSync(process.execPath, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 2 ** 26,
  });
  if (status !== 0) throw new Error(`the cell ${JSON.stringify(cell)} ended with ${status}`);
  return JSON.parse(stdout) as Result;
}

/** The cell this process is to run, if it is one. */
export function cellOf<Cell>(): Cell | undefined {
  const at = process.argv.indexOf('--cell');
  return at < 0 ? undefined : (JSON.parse(process.argv[at + 1] ?? '') as Cell);
}

/**
 * CPU seconds (user and system, all threads) and wall seconds of a command, measured by the shell that waits for it; its
 * output goes to a file.
 * @throws Error when it fails.
 */
export function timed(command: string, args: readonly string[], outFile: string): { cpu: number; wall: number } {
  const began = performance.now();
  const script = 'out="$1"; shift; "$@" > "$out" || exit 9; times';
  const { status, stdout, stderr } = spawnSync('sh', ['-c', script, 'sh', outFile, command, ...args], {
    encoding: 'utf8',
  });
  const wall = (performance.now() - began) / 1_000;
  if (status !== 0) throw new Error(`${command} failed: ${stderr.slice(-500)}`);
  // The second line is that of children: `0m1.230s 0m0.040s`.
  const line = stdout.trim().split('\n').at(-1) ?? '';
  const cpu = [...line.matchAll(/(\d+)m([\d.]+)s/g)].reduce((sum, [, m, s]) => sum + Number(m) * 60 + Number(s), 0);
  return { cpu, wall };
}

/** CPU microseconds of this process, the collector's threads included. */
export function cpuMicros(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/** Largest resident size so far, MB. */
export function peakRssMb(): number {
  return Math.round(process.resourceUsage().maxRSS / 1_024);
}

const CLOCK_TICKS_PER_SECOND = 100;

/** CPU seconds of another process so far, user and system, as Linux counts them. */
export function cpuSecondsOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS_PER_SECOND;
}

/** Resident size of a process, MB: `VmRSS` now, `VmHWM` the largest so far. */
export function residentMb(pid: number | 'self', size: 'VmRSS' | 'VmHWM'): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Math.round(Number(new RegExp(`${size}:\\s+(\\d+)`).exec(status)?.[1] ?? 0) / 1_024);
}
