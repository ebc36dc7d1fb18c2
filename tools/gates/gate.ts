import { spawn } from 'node:child_process';
import { join, resolve } from 'node:path';

/** The root of the repository. */
export const ROOT = resolve(import.meta.dirname, '../..');

/**
 * A check of the whole repository that counts as one test. `run` resolves with one line about what it saw, so that a
 * gate which looked at nothing is visible, and rejects with the tool's own output.
 */
export type Gate = { readonly name: string; readonly run: () => Promise<string> };

export type CommandResult = { readonly code: number; readonly output: string };

/** Runs a command of `node_modules/.bin` (or an absolute path) in the repository; never rejects on a non-zero exit. */
export function command(
  name: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<CommandResult> {
  const file = name.startsWith('/') ? name : join(ROOT, 'node_modules/.bin', name);
  return new Promise((done, failed) => {
    const child = spawn(file, args, {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, TURBO_TELEMETRY_DISABLED: '1', NO_COLOR: '1', ...env },
    });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    child.on('error', failed);
    child.on('close', (code) => done({ code: code ?? 1, output }));
  });
}

/** Runs a command and rejects with its output unless it exits 0. */
export async function must(name: string, args: readonly string[], env: Record<string, string> = {}): Promise<string> {
  const { code, output } = await command(name, args, env);
  if (code !== 0) throw new Error(output.trim() || `${name} exited with ${code} and said nothing`);
  return output;
}
