import { parseArgs } from 'node:util';
import { ConfigError } from '@tracehound/config';

/** The environment with what the command line says in its place. @throws ConfigError for anything but `--workers N`. */
export function environmentWithFlags(
  env: Readonly<Record<string, string | undefined>>,
  argv: readonly string[],
): Readonly<Record<string, string | undefined>> {
  const { workers } = flagsOf(argv);
  return workers === undefined ? env : { ...env, TRACEHOUND_CORRELATOR_WORKERS: workers };
}

function flagsOf(argv: readonly string[]): { readonly workers?: string | undefined } {
  try {
    return parseArgs({ args: [...argv], options: { workers: { type: 'string' } } }).values;
  } catch (error) {
    const problem = error instanceof Error ? error.message : 'cannot be read';
    throw new ConfigError([{ key: 'command line', problem, allowed: '--workers N, --help' }]);
  }
}
