import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/**
 * What tells a process from a later one with the same number. `startedAt` is opaque: boot id and start tick on
 * Linux, the start time `ps` prints elsewhere.
 */
export type ProcessIdentity = { readonly pid: number; readonly startedAt: string };

/**
 * The process with this number now, or null when there is none. A zombie counts as none, but not before its last
 * thread is gone: until then a killed JVM still holds its ports.
 */
export function identifyProcess(pid: number): ProcessIdentity | null {
  const stat = process.platform === 'linux' ? readLinuxStat(pid) : readPsStat(pid);
  return stat === null ? null : { pid, startedAt: stat.startedAt };
}

/** True while exactly this process runs: same number and same start. */
export function isAlive(identity: ProcessIdentity): boolean {
  return identifyProcess(identity.pid)?.startedAt === identity.startedAt;
}

/** The command line of a process, arguments apart by spaces; empty when there is none. */
export function commandOf(pid: number): string {
  try {
    if (process.platform === 'linux') return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
    return execFileSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' }).trim();
  } catch {
    return '';
  }
}

/** A process and all its descendants, ancestors first. PostgreSQL's children leave the process group, so a group signal misses them. */
export function processTree(root: number): readonly number[] {
  const parents = process.platform === 'linux' ? linuxParents() : psParents();
  const tree = [root];
  for (let i = 0; i < tree.length; i++) {
    for (const [pid, parent] of parents) if (parent === tree[i]) tree.push(pid);
  }
  return tree;
}

type Stat = { readonly startedAt: string; readonly parent: number };

/** proc(5): the name in parentheses may hold anything, so fields are counted from the last parenthesis. */
function readLinuxStat(pid: number): Stat | null {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return null;
  }
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const [state, parent, threads, startTicks] = [fields[0], fields[1], fields[17], fields[19]];
  const isDead = state === 'X' || (state === 'Z' && Number(threads) <= 1);
  if (state === undefined || isDead) return null;
  return { startedAt: `${bootId()}:${startTicks}`, parent: Number(parent) };
}

let knownBootId: string | undefined;

/** Start ticks count from boot, so after a reboot the same number means another process. */
function bootId(): string {
  if (knownBootId === undefined) {
    try {
      knownBootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    } catch {
      knownBootId = 'unknown-boot';
    }
  }
  return knownBootId;
}

function readPsStat(pid: number): Stat | null {
  try {
    const line = execFileSync('ps', ['-o', 'stat=,ppid=,lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim();
    const [state, parent, ...started] = line.split(/\s+/);
    if (state === undefined || state.startsWith('Z')) return null;
    return { startedAt: started.join(' '), parent: Number(parent) };
  } catch {
    return null;
  }
}

function linuxParents(): readonly (readonly [number, number])[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((entry) => {
      const stat = readLinuxStat(Number(entry));
      return stat === null ? [] : [[Number(entry), stat.parent] as const];
    });
}

function psParents(): readonly (readonly [number, number])[] {
  return execFileSync('ps', ['-Ao', 'pid=,ppid='], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .map((line) => {
      const [pid, parent] = line.trim().split(/\s+/);
      return [Number(pid), Number(parent)] as const;
    });
}
