import type { ChildProcess } from 'node:child_process';

/** Environment of a Node process whose wall clock a test steps with `stepClock`; its timers stay true. */
export const STEPPED_CLOCK_ENVIRONMENT: Readonly<Record<string, string>> = {
  NODE_OPTIONS: `--import=${new URL('./stepped-clock-preload.mjs', import.meta.url).href}`,
};

/**
 * Steps the clock of a process started with `STEPPED_CLOCK_ENVIRONMENT` and its standard error piped: an hour back from
 * the right time at the first call, an hour ahead of it at the second, and in turn. Resolves when it has stepped.
 */
export function stepClock(child: ChildProcess): Promise<void> {
  const { stderr } = child;
  if (stderr === null) throw new Error('the standard error of the process is not piped');
  return new Promise((resolve, reject) => {
    const settle = (result: () => void): void => {
      stderr.off('data', look);
      child.off('exit', fail);
      result();
    };
    const look = (chunk: Buffer | string): void => {
      if (chunk.toString().includes('"clock stepped"')) settle(resolve);
    };
    const fail = (): void => settle(() => reject(new Error('the process ended before its clock stepped')));
    stderr.on('data', look);
    child.once('exit', fail);
    child.kill('SIGUSR2');
  });
}
