import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { publishRuleSet } from '@tracehound/cli';
import { topicSettings } from '@tracehound/event-model';
import { waitFor } from '@tracehound/testkit';
import { describe, expect, it } from 'vitest';
import type { CorrelatorProcess } from './correlator-process.fixture.ts';
import { type CorrelatorWorld, correlatorWorld } from './correlator-world.fixture.ts';
import { TEST_RULES } from './events.fixture.ts';
import { eventsOf, flowing } from './stream.fixture.ts';

const PARTITIONS = 4;

describe.concurrent('what cannot give exact results is refused', () => {
  it('matches-grown: the topic of matches grows under a correlator; nobody goes on with it', async () => {
    const world = await correlatorWorld();
    try {
      const events = eventsOf(20);
      const running = world.spawn();
      await world.send(events);
      await flowing(world);
      await grow(world);
      await expectRefusal(running, 'SEC_CORRELATOR_MATCHES_GROWN');
      const later = world.spawn();
      await expectRefusal(later, 'SEC_CORRELATOR_MATCHES_GROWN');
      expect(later.times('has 6 partitions and windows are spread over 4')).toBeGreaterThan(0);
      // No window has gone to a partition that was not there before.
      const records = await world.records('security.matches');
      expect(records.filter(({ partition }) => partition >= PARTITIONS)).toEqual([]);
      // Nor can rules make it the new number.
      const { kafka, codec, namespace } = world;
      const again = publishRuleSet({ kafka, codec, namespace, files: TEST_RULES, principal: 'test' });
      await expect(again).rejects.toMatchObject({ code: 'SEC_RULES_MATCHES_GROWN' });
    } finally {
      await world.close();
    }
  });

  it('matches-grown: topics apply leaves the number of its partitions as it is', async () => {
    const world = await correlatorWorld();
    try {
      const name = world.topic('security.matches');
      const settings = topicSettings({ profile: 'local', namespace: world.namespace }).filter(
        ({ topic }) => topic === name,
      );
      const larger = settings.map((one) => ({ ...one, partitions: 6 }));
      expect(await world.admin.applyTopics(larger)).toEqual([{ topic: name, action: 'kept' }]);
      expect(await world.admin.partitionCount(name)).toBe(PARTITIONS);
    } finally {
      await world.close();
    }
  });

  it('redis-cluster: a state Redis in cluster mode is refused at boot', async () => {
    const redis = await clusterRedis();
    const world = await correlatorWorld({ redisStateUrl: redis.url });
    try {
      const refused = world.spawn();
      await expectRefusal(refused, 'SEC_CORRELATOR_STATE_CLUSTER');
      expect(refused.times('give it a single primary')).toBeGreaterThan(0);
    } finally {
      await world.close();
      await redis.stop();
    }
  });
});

/** As an operator's tool would, past `topics apply`. */
async function grow(world: CorrelatorWorld): Promise<void> {
  const name = world.topic('security.matches');
  await world.admin.applyTopics([{ topic: name, partitions: 6, replicationFactor: 1, config: {} }]);
  await waitFor(async () => (await world.admin.partitionCount(name)) === 6, { what: 'two more partitions' });
}

async function expectRefusal(process: CorrelatorProcess, code: string): Promise<void> {
  await waitFor(async () => process.child.exitCode !== null, {
    what: `the process to end\n${process.log()}`,
    timeoutMs: 30_000,
  });
  expect(process.child.exitCode).toBe(1);
  expect(process.times(`"${code}"`)).toBeGreaterThan(0);
}

async function clusterRedis(): Promise<{ readonly url: string; stop(): Promise<void> }> {
  const directory = await mkdtemp(join(tmpdir(), 'tracehound-cluster-'));
  const port = await freePort();
  const options = ['--bind', '127.0.0.1', '--port', `${port}`, '--dir', directory, '--maxmemory-policy', 'noeviction'];
  const child = spawn('redis-server', [
    ...options,
    '--cluster-enabled',
    'yes',
    '--cluster-port',
    `${await freePort()}`,
  ]);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const ended = new Promise((resolve) => child.once('close', resolve));
  await waitFor(async () => output.includes('Ready to accept connections'), { what: `redis-server\n${output}` });
  return {
    url: `redis://127.0.0.1:${port}`,
    async stop() {
      child.kill('SIGTERM');
      await ended;
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}
