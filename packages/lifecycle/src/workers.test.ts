import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';

const FIXTURE = fileURLToPath(new URL('./workers.fixture.ts', import.meta.url));

type Line = { pids?: (number | null)[]; replaced?: number; fatal?: string; stopped?: string; details?: string[] };

const started: ChildProcess[] = [];
afterEach(() => {
  for (const child of started.splice(0)) child.kill('SIGKILL');
});

/** A parent of two workers; `until` takes what is said, line by line, and never looks at a line twice. */
function startParent(): {
  readonly child: ChildProcess;
  until(wanted: (line: Line) => boolean): Promise<Line>;
  bothUp(): Promise<number[]>;
} {
  const child = spawn(
    process.execPath,
    ['--conditions=@tracehound/source', '--disable-warning=ExperimentalWarning', FIXTURE, 'parent'],
    { env: { PATH: process.env['PATH'] }, stdio: ['pipe', 'pipe', 'inherit'] },
  );
  started.push(child);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const until = async (wanted: (line: Line) => boolean): Promise<Line> => {
    for (;;) {
      const { value, done } = await lines.next();
      if (done) throw new Error('the output ended before the line that is waited for');
      const line = JSON.parse(value) as Line;
      if (wanted(line)) return line;
    }
  };
  return {
    child,
    until,
    async bothUp() {
      const { pids } = await until((line) => line.pids?.every((pid) => pid !== null) ?? false);
      return (pids ?? []).map(Number);
    },
  };
}

function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe('createWorkers', () => {
  test('workers say their state and answer questions', async () => {
    const parent = startParent();
    const pids = await parent.bothUp();
    expect(new Set([...pids, parent.child.pid]).size).toBe(3);
    parent.child.stdin?.write('?\n');
    expect((await parent.until((line) => line.details !== undefined)).details).toEqual(['detail 0', 'detail 1']);
  });

  test('a killed worker is replaced in its place, the other one is left alone', async () => {
    const parent = startParent();
    const [first = 0, second = 0] = await parent.bothUp();
    process.kill(second, 'SIGKILL');
    expect(await parent.until((line) => line.replaced !== undefined)).toEqual({ replaced: 1 });
    const [after, replacement] = await parent.bothUp();
    expect(after).toBe(first);
    expect(replacement).not.toBe(second);
  });

  test('a worker that is killed again and again is given up', async () => {
    const parent = startParent();
    for (let time = 0; time < 3; time++) process.kill((await parent.bothUp())[0] ?? 0, 'SIGKILL');
    expect((await parent.until((line) => line.fatal !== undefined)).fatal).toContain('replaced 2 times in a row');
  });

  test('a worker that cannot go on ends the service', async () => {
    const parent = startParent();
    process.kill((await parent.bothUp())[0] ?? 0, 'SIGUSR2');
    expect((await parent.until((line) => line.fatal !== undefined)).fatal).toContain('worker 0 ended with code 1');
  });

  test('SIGTERM to the parent drains all', async () => {
    const parent = startParent();
    const pids = await parent.bothUp();
    parent.child.kill('SIGTERM');
    await parent.until((line) => line.stopped === 'parent');
    expect(pids.filter(lives)).toEqual([]);
    if (parent.child.exitCode === null) await once(parent.child, 'exit');
    expect(parent.child.exitCode).toBe(0);
  });

  test('kill -9 of the parent: the workers drain by themselves', async () => {
    const parent = startParent();
    await parent.bothUp();
    parent.child.kill('SIGKILL');
    const drained = [await parent.until((line) => line.stopped !== undefined)];
    drained.push(await parent.until((line) => line.stopped !== undefined));
    expect(drained.map(({ stopped }) => stopped).sort()).toEqual(['0', '1']);
    // The pipe is closed when the last process that could write to it is gone.
    await expect(parent.until(() => false)).rejects.toThrow('the output ended');
  });
});
