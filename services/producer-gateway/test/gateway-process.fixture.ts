import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url));

type Addresses = { readonly internal: string; readonly public: string };

/** A gateway in a process of its own, as production runs it. */
export type GatewayProcess = {
  readonly child: ChildProcess;
  /** Null when it ended before it listened. */
  readonly addresses: Promise<Addresses | null>;
  /** What it has written so far, both streams. */
  readonly output: () => string;
};

const children: ChildProcess[] = [];

export function launchGateway(env: Readonly<Record<string, string>>, args: readonly string[] = []): GatewayProcess {
  const child = spawn(
    process.execPath,
    ['--conditions=@tracehound/source', '--disable-warning=ExperimentalWarning', MAIN, ...args],
    { env: { PATH: process.env['PATH'], ...env } },
  );
  children.push(child);
  let output = '';
  const addresses = new Promise<Addresses | null>((resolve) => {
    const collect = (chunk: Buffer): void => {
      output += chunk.toString();
      const line = output.split('\n').find((text) => text.includes('"msg":"listening"'));
      if (line?.endsWith('}')) resolve(JSON.parse(line) as Addresses);
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    child.once('close', () => resolve(null));
  });
  return { child, addresses, output: () => output };
}

/** Rejects with its output when the process ends instead. */
export async function listening(process: GatewayProcess): Promise<{ addresses: Addresses }> {
  const addresses = await process.addresses;
  if (!addresses) throw new Error(`the gateway did not start: ${process.output()}`);
  return { addresses };
}

/** Kills all that still run; for `afterEach`. */
export async function endGateways(): Promise<void> {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }
}
