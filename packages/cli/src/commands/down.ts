import { findStack, stopServices } from '@tracehound/stack';
import type { Terminal } from '../terminal.ts';

export type DownOptions = {
  /** Folder of the stack, `.tracehound/<name>`. */
  readonly directory: string;
  /** Deletes the data of the servers too. */
  readonly wipe?: boolean;
  readonly format?: 'table' | 'json';
  readonly environment?: NodeJS.ProcessEnv;
};

/**
 * Ends the services (drained) and then the servers of a stack; servers named by the environment are left alone.
 * Idempotent: a second call finds nothing to do. Exit code 0.
 */
export async function runDown(options: DownOptions, terminal: Terminal): Promise<number> {
  const stack = await findStack(options);
  // Looked at first: the supervisor ends the servers itself when it is told to end.
  const before = (await stack?.status()) ?? [];
  // Without a folder of its own the stack is somebody else's.
  const servers = stack === null || stack.mode === 'env' ? [] : before.filter(({ state }) => state !== 'stopped');
  const services = await stopServices(options.directory);
  await stack?.stop({ wipe: options.wipe ?? false });
  const stopped = [...services, ...servers.map(({ name }) => name)];
  if (options.format === 'json') {
    terminal.out(
      JSON.stringify({ stopped, mode: stack?.mode ?? null, wiped: options.wipe === true && stack !== null }),
    );
    return 0;
  }
  terminal.note(stopped.length === 0 ? 'nothing was running' : `ended ${stopped.join(', ')}`);
  if (stack?.mode === 'env') terminal.note('the servers are named by the environment and were left alone');
  if (options.wipe === true && stack !== null && stack.mode !== 'env') terminal.note('their data were deleted');
  return 0;
}
