import { resolve } from 'node:path';
import { addressesFromEnvironment } from './addresses.ts';
import { findDockerStack, isDockerAvailable, openDockerStack } from './docker-stack.ts';
import { environmentStack } from './environment-stack.ts';
import { StackError } from './errors.ts';
import { findNativeStack, openNativeStack } from './native/native-stack.ts';
import { readState, stackFiles } from './native/stack-files.ts';
import { ALL_KINDS, type Stack, type StackMode, type StackOptions } from './stack.ts';

/**
 * Finds or starts the servers: those the environment names, else Docker when an engine answers, else processes of
 * this machine. Returns when all are healthy. Safe to call from several processes at once: one starts, the others
 * find. TRACEHOUND_STACK_MODE (env, docker, native) decides where `mode` is not given.
 */
export async function openStack(options: StackOptions): Promise<Stack> {
  const environment = options.environment ?? process.env;
  const directory = resolve(options.directory);
  const brokers = options.brokers ?? 1;
  const kinds = options.kinds ?? ALL_KINDS;
  const onProgress = options.onProgress ?? (() => undefined);
  switch (await chooseMode({ ...options, directory, environment, brokers })) {
    case 'env': {
      const addresses = addressesFromEnvironment(environment);
      if (addresses === null) {
        throw new StackError('SEC_STACK_STATE_INVALID', 'mode env needs all five TRACEHOUND_* addresses', {
          category: 'invalid_input',
        });
      }
      return environmentStack(addresses);
    }
    case 'docker':
      return openDockerStack({ directory, environment, onProgress });
    case 'native':
      return openNativeStack({
        directory,
        brokers,
        brokerLinks: options.brokerLinks ?? false,
        kafkaAuthorizer: options.kafkaAuthorizer ?? false,
        partEnvironment: options.partEnvironment ?? {},
        kinds,
        environment,
        onProgress,
      });
  }
}

/** The stack of a folder as it is now (or the one the environment names), without starting anything. */
export async function findStack(options: {
  directory: string;
  environment?: NodeJS.ProcessEnv;
}): Promise<Stack | null> {
  const environment = options.environment ?? process.env;
  const directory = resolve(options.directory);
  const state = await readState(stackFiles(directory));
  if (state?.mode === 'native') return findNativeStack(directory, environment);
  if (state?.mode === 'docker') return findDockerStack(directory, environment);
  const addresses = addressesFromEnvironment(environment);
  return addresses === null ? null : environmentStack(addresses);
}

async function chooseMode(options: {
  mode?: StackMode | 'auto';
  directory: string;
  environment: NodeJS.ProcessEnv;
  brokers: 1 | 3;
}): Promise<StackMode> {
  const wanted = options.mode ?? options.environment['TRACEHOUND_STACK_MODE'] ?? 'auto';
  if (wanted === 'env' || wanted === 'docker' || wanted === 'native') return wanted;
  if (wanted !== 'auto') {
    throw new StackError('SEC_STACK_STATE_INVALID', 'TRACEHOUND_STACK_MODE must be auto, env, docker or native', {
      category: 'invalid_input',
    });
  }
  if (options.brokers === 3) return 'native';
  if (addressesFromEnvironment(options.environment) !== null) return 'env';
  // A stack that exists stays where it is: its data are there.
  const known = await readState(stackFiles(options.directory));
  if (known !== null) return known.mode;
  return (await isDockerAvailable()) ? 'docker' : 'native';
}
