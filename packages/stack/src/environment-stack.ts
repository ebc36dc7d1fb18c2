import { environmentOf, type StackAddresses } from './addresses.ts';
import { StackError } from './errors.ts';
import { checkHealth, probeOf } from './probes/health-checks.ts';
import { parseHostPort } from './probes/tcp-exchange.ts';
import type { PartName, PartStatus, Stack, StackPart } from './stack.ts';

/** Servers somebody else runs, named by the environment. They can be asked and used, never ended or frozen. */
export function environmentStack(addresses: StackAddresses): Stack {
  const brokers = addresses.kafkaBrokers.slice(0, 3).map((_broker, index) => `kafka-${index + 1}` as PartName); // kafka-1 to kafka-3
  const names: readonly PartName[] = [...brokers, 'registry', 'redis-state', 'redis-edge', 'postgres'];
  const parts = names.map((name) => environmentPart(name, addresses));
  return {
    mode: 'env',
    addresses,
    brokerLinks: [],
    parts,
    part(name) {
      const found = parts.find((part) => part.name === name);
      if (found === undefined) throw new StackError('SEC_STACK_UNKNOWN_PART', `the environment names no ${name}`);
      return found;
    },
    environment: () => environmentOf(addresses),
    status: () => Promise.all(parts.map(environmentStatus)),
    stop: () => Promise.resolve(),
  };
}

function environmentPart(name: PartName, addresses: StackAddresses): StackPart {
  const refuse = (): Promise<never> =>
    Promise.reject(
      new StackError(
        'SEC_STACK_NOT_OURS',
        `${name} is named by the environment: start a stack of your own for fault tests`,
      ),
    );
  return {
    name,
    address: addressOf(name, addresses),
    health: () => checkHealth(probeOf(name, addresses)),
    kill: refuse,
    pause: refuse,
    resume: refuse,
    restart: refuse,
  };
}

async function environmentStatus(part: StackPart): Promise<PartStatus> {
  const health = await part.health();
  const state = health.ok ? 'running' : 'unhealthy';
  return { name: part.name, state, address: part.address, detail: health.detail, pid: null, log: null };
}

function addressOf(name: PartName, addresses: StackAddresses): string {
  switch (name) {
    case 'registry':
      return new URL(addresses.registryUrl).host;
    case 'redis-state':
      return new URL(addresses.redisStateUrl).host;
    case 'redis-edge':
      return new URL(addresses.redisEdgeUrl).host;
    case 'postgres':
      return new URL(addresses.postgresUrl).host;
    case 'kafka-1':
    case 'kafka-2':
    case 'kafka-3': {
      const { host, port } = parseHostPort(addresses.kafkaBrokers[Number(name.slice(-1)) - 1] ?? '');
      return `${host}:${port}`;
    }
  }
}
