import { spawn } from 'node:child_process';
import { StackError } from '../errors.ts';

export type ToolOptions = {
  readonly cwd?: string;
  readonly environment?: NodeJS.ProcessEnv;
  /** Standard input of the tool. */
  readonly input?: string;
  /** OS user to run as; only root may ask for another one. */
  readonly user?: { readonly uid: number; readonly gid: number } | null;
  /** Milliseconds until the tool is killed; default 600,000. */
  readonly timeoutMs?: number;
  /** Called every 10 s with the seconds gone, so that a long step is not silent. */
  readonly onStillRunning?: (seconds: number) => void;
};

/** Lines of output kept for the error message of a failed tool. */
const TAIL_LINES = 15;

/** Runs a tool to its end and returns what it printed; a non-zero exit throws `StackError` with the last lines. */
export function runTool(command: string, args: readonly string[], options: ToolOptions = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const started = performance.now();
    const child = spawn(command, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: options.timeoutMs ?? 600_000,
      killSignal: 'SIGKILL',
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      ...(options.environment === undefined ? {} : { env: options.environment }),
      ...(options.user ? { uid: options.user.uid, gid: options.user.gid } : {}),
    });
    let output = '';
    const collect = (chunk: Buffer): void => {
      output += chunk.toString('utf8');
    };
    const ticker = setInterval(
      () => options.onStillRunning?.(Math.round((performance.now() - started) / 1000)),
      10_000,
    );
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    child.stdin.on('error', () => undefined); // A tool that reads no input closes the pipe; its exit code tells.
    child.stdin.end(options.input ?? '');
    child.once('error', (cause) => {
      clearInterval(ticker);
      reject(new StackError('SEC_STACK_TOOL_FAILED', `${command} cannot be run: ${cause.message}`, { cause }));
    });
    child.once('close', (code, signal) => {
      clearInterval(ticker);
      if (code === 0) resolve(output);
      else reject(toolFailure(command, args, code ?? signal, output));
    });
  });
}

function toolFailure(
  command: string,
  args: readonly string[],
  how: number | string | null,
  output: string,
): StackError {
  const tail = output.trimEnd().split('\n').slice(-TAIL_LINES).join('\n');
  return new StackError('SEC_STACK_TOOL_FAILED', `${command} ${args[0] ?? ''} failed (${how}):\n${tail}`);
}

/** The first line a tool prints for its version, or null when it is not installed. */
export async function toolVersion(command: string, args: readonly string[]): Promise<string | null> {
  try {
    return (await runTool(command, args, { timeoutMs: 20_000 })).trim();
  } catch {
    return null;
  }
}
