import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { TestStack } from '@tracehound/testkit';

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url));

/** A correlator in a process of its own, as production runs it. */
export type CorrelatorProcess = {
  readonly child: ChildProcess;
  /** `http://…` of the internal port. */
  readonly internal: Promise<string>;
  /** Signal or exit code with which it ended. */
  readonly ended: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
  /** What it logged, for the message of a failed test. */
  log(): string;
  /** How often a text stands in all it has logged. */
  times(text: string): number;
  kill(signal?: NodeJS.Signals): Promise<void>;
};

/** Pacing that keeps tests short; the protocol is the same. */
export const FAST_PACING: Readonly<Record<string, string>> = {
  TRACEHOUND_CORRELATOR_TICK: '100ms',
  TRACEHOUND_CORRELATOR_FLUSH: '30ms',
  TRACEHOUND_CORRELATOR_COMMIT: '20ms',
  TRACEHOUND_CORRELATOR_SESSION_TIMEOUT: '6s',
};

/** A correlator that keeps no group in memory that Redis can give back. */
export const SMALL_MEMORY = {
  TRACEHOUND_CORRELATOR_DECODED_GROUPS_MAX: '1',
  TRACEHOUND_CORRELATOR_PACKED_BYTES_MAX: '0',
};

export function environmentFor(
  stack: Pick<TestStack, 'kafkaBrokers' | 'registryUrl' | 'redisStateUrl'>,
  namespace: string,
): Record<string, string> {
  return {
    TRACEHOUND_KAFKA_BROKERS: stack.kafkaBrokers.join(','),
    TRACEHOUND_REGISTRY_URL: stack.registryUrl,
    TRACEHOUND_REDIS_STATE_URL: stack.redisStateUrl,
    TRACEHOUND_NAMESPACE: namespace,
    // The process that is killed or frozen is the one that works.
    TRACEHOUND_CORRELATOR_WORKERS: '1',
    ...FAST_PACING,
  };
}

export function startProcess(env: Readonly<Record<string, string>>): CorrelatorProcess {
  const child = spawn(process.execPath, ['--conditions=@tracehound/source', MAIN], {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let text = '';
  let announce: (address: string) => void = () => undefined;
  const internal = new Promise<string>((resolve) => {
    announce = resolve;
  });
  child.stderr?.setEncoding('utf8');
  child.stderr?.on('data', (chunk: string) => {
    text += chunk;
    const address = /"internal":"(http:[^"]+)"/.exec(text)?.[1];
    if (address !== undefined) announce(address);
  });
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
  return {
    child,
    internal,
    ended,
    log: () => text.slice(-8_000),
    times: (wanted) => text.split(wanted).length - 1,
    async kill(signal = 'SIGKILL') {
      child.kill(signal);
      await ended;
    },
  };
}
