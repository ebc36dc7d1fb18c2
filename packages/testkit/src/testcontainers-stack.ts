import { randomBytes } from 'node:crypto';
import {
  COMPOSE_SERVICES,
  composeAddresses,
  composeVariables,
  environmentOf,
  type PartName,
  partHealth,
  repositoryRoot,
  type Stack,
  StackError,
  type StackPart,
  settleRegistry,
} from '@tracehound/stack';
import {
  DockerComposeEnvironment,
  getContainerRuntimeClient,
  RandomPortGenerator,
  type StartedTestContainer,
} from 'testcontainers';
import { waitFor } from './wait-for.ts';

const PARTS = ['postgres', 'kafka-1', 'registry', 'redis-state', 'redis-edge'] as const;

/** Images may have to be pulled and the registry to be built. */
const START_TIMEOUT_MS = 300_000;

/**
 * The servers of docker-compose.yml, started and cleaned up by Testcontainers: the same images, settings and health
 * checks as `tracehound up` in Docker, so that a difference between the two cannot hide.
 */
export async function openTestcontainersStack(): Promise<Stack> {
  const settings = { ports: await freePorts(), postgresPassword: randomBytes(12).toString('hex') };
  const client = await getContainerRuntimeClient();
  const addresses = composeAddresses(settings, client.info.containerRuntime.host);
  const environment = await new DockerComposeEnvironment(repositoryRoot(), 'docker-compose.yml')
    .withEnvironment(composeVariables(settings))
    .withStartupTimeout(START_TIMEOUT_MS)
    .up(PARTS.map((part) => COMPOSE_SERVICES[part]));
  const parts = PARTS.map((name): StackPart => {
    const container = environment.getContainer(`${COMPOSE_SERVICES[name]}-1`);
    return containerPart({
      name,
      container,
      address: `127.0.0.1:${settings.ports[name]}`,
      health: partHealth(name, addresses),
      client,
    });
  });
  const stack: Stack = {
    mode: 'docker',
    addresses,
    brokerLinks: [],
    parts,
    part(name: PartName) {
      const found = parts.find((part) => part.name === name);
      if (found === undefined) throw new StackError('SEC_STACK_UNKNOWN_PART', `a stack in Docker has no ${name}`);
      return found;
    },
    environment: () => environmentOf(addresses),
    status: () =>
      Promise.all(
        parts.map(async ({ name, address, health }) => {
          const { ok, detail } = await health();
          return {
            name,
            address,
            detail,
            pid: null,
            log: null,
            state: ok ? ('running' as const) : ('stopped' as const),
          };
        }),
      ),
    async stop() {
      await environment.down({ removeVolumes: true });
    },
  };
  for (const part of parts) await awaitHealthy(part);
  await settleRegistry(addresses.registryUrl);
  return stack;
}

function containerPart(options: {
  name: PartName;
  address: string;
  container: StartedTestContainer;
  health: StackPart['health'];
  client: Awaited<ReturnType<typeof getContainerRuntimeClient>>;
}): StackPart {
  const { name, address, container, health, client } = options;
  const engine = client.container.getById(container.getId());
  const part: StackPart = {
    name,
    address,
    health,
    async kill(signal = 'SIGKILL') {
      await engine.kill({ signal });
      await engine.wait();
    },
    async pause() {
      await engine.pause();
    },
    async resume() {
      await engine.unpause();
    },
    async restart() {
      await engine.restart();
      await awaitHealthy(part);
    },
  };
  return part;
}

async function awaitHealthy(part: StackPart): Promise<void> {
  await waitFor(async () => (await part.health()).ok, {
    what: `${part.name} to be healthy`,
    timeoutMs: START_TIMEOUT_MS,
    intervalMs: 200,
  });
}

async function freePorts(): Promise<Record<string, number>> {
  const generator = new RandomPortGenerator();
  const ports: Record<string, number> = {};
  for (const part of PARTS) ports[part] = await generator.generatePort();
  return ports;
}
