import { execFile, execFileSync } from 'node:child_process';
import { promisify } from 'node:util';

export type ToolResult = { readonly code: number; readonly output: string };

const run = promisify(execFile);

/**
 * True when `command` can be run; on Debian as root its package is installed first. A test that needs it is skipped
 * otherwise, under a name that says which package is missing.
 */
export function hasTool(command: string, versionArgument: string, debianPackage: string): boolean {
  if (canRun(command, versionArgument)) return true;
  if (process.getuid?.() !== 0) return false;
  const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  const options = { env: environment, stdio: 'ignore', timeout: 300_000 } as const;
  try {
    execFileSync('apt-get', ['update', '-q'], options);
    execFileSync('apt-get', ['install', '-y', '-q', '--no-install-recommends', debianPackage], options);
  } catch {
    return false;
  }
  return canRun(command, versionArgument);
}

/** Runs a tool to its end; a failure is a result here, not an exception. */
export async function runTool(command: string, args: readonly string[], cwd: string): Promise<ToolResult> {
  try {
    const { stdout, stderr } = await run(command, args, { cwd, maxBuffer: 16 * 1024 * 1024 });
    return { code: 0, output: stdout + stderr };
  } catch (error) {
    // execFile rejects with the exit code and both outputs on the error.
    const failed = error as { code?: number; stdout?: string; stderr?: string };
    return {
      code: typeof failed.code === 'number' ? failed.code : 1,
      output: `${failed.stdout ?? ''}${failed.stderr ?? ''}`,
    };
  }
}

function canRun(command: string, versionArgument: string): boolean {
  try {
    execFileSync(command, [versionArgument], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
