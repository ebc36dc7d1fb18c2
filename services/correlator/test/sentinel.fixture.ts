import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { connectRedis, type Redis } from '@tracehound/redis';
import { openStack } from '@tracehound/stack';
import { waitFor } from '@tracehound/testkit';

/** The name the sentinels watch the state by. */
const GROUP = 'tracehound-state';
const SENTINELS = 3;
/** Of three sentinels two must agree that the primary is gone; a second of silence is enough for a test. */
const QUORUM = 2;
const DOWN_AFTER_MS = 1_000;

export type SentinelGroup = {
  /** Environment of a correlator that finds its state through the sentinels. */
  readonly env: Readonly<Record<string, string>>;
  /** Connections past the correlator's, to each server itself. */
  readonly primary: Redis;
  readonly replica: Redis;
  /** The replica gets nothing more of what the primary takes, and stays fit to be promoted. */
  cutReplication(): Promise<void>;
  /** SIGKILL; resolves when the sentinels have promoted the replica. */
  killPrimary(): Promise<void>;
  close(): Promise<void>;
};

/** A state Redis with a replica and three sentinels that know each other: real servers, on this machine. */
export async function sentinelGroup(directory: string): Promise<SentinelGroup> {
  const stack = await openStack({ directory: join(directory, 'primary'), mode: 'native', kinds: ['redis-state'] });
  const primaryPort = Number(new URL(stack.addresses.redisStateUrl).port);
  const children: ChildProcess[] = [];
  const connections: Redis[] = [];

  async function start(name: string, lines: readonly string[], args: readonly string[] = []): Promise<number> {
    const folder = join(directory, name);
    await mkdir(folder, { recursive: true });
    const port = await freePort();
    const file = join(folder, 'redis.conf');
    await writeFile(file, [`port ${port}`, 'bind 127.0.0.1', `dir ${folder}`, ...lines, ''].join('\n'));
    children.push(spawn('redis-server', [file, ...args], { stdio: 'ignore' }));
    return port;
  }

  async function connect(port: number): Promise<Redis> {
    const redis = await waitFor(
      () => connectRedis(`redis://127.0.0.1:${port}`, { role: 'state' }).catch(() => undefined),
      { what: `a Redis on port ${port}` },
    );
    connections.push(redis);
    return redis;
  }

  async function close(): Promise<void> {
    for (const redis of connections) redis.disconnect();
    for (const child of children) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    }
    await stack.stop({ wipe: true });
  }

  try {
    const replicaPort = await start('replica', [
      `replicaof 127.0.0.1 ${primaryPort}`,
      'appendonly yes',
      'maxmemory-policy noeviction',
    ]);
    const primary = await connect(primaryPort);
    const replica = await connect(replicaPort);
    await waitFor(async () => (await replica.info('replication')).includes('master_link_status:up'), {
      what: 'the replica to follow',
    });
    const sentinels: string[] = [];
    for (let i = 0; i < SENTINELS; i++) {
      const settings = [
        `sentinel monitor ${GROUP} 127.0.0.1 ${primaryPort} ${QUORUM}`,
        `sentinel down-after-milliseconds ${GROUP} ${DOWN_AFTER_MS}`,
        `sentinel failover-timeout ${GROUP} 10000`,
      ];
      sentinels.push(`127.0.0.1:${await start(`sentinel-${i}`, settings, ['--sentinel'])}`);
    }
    // A sentinel that knows neither the replica nor the others could not promote anybody.
    for (const address of sentinels) {
      const sentinel = await connectSentinel(address);
      connections.push(sentinel);
      await waitFor(
        async () => {
          const info = await sentinel.info('sentinel');
          return info.includes(`slaves=1,sentinels=${SENTINELS}`);
        },
        { what: 'the sentinels to know each other', timeoutMs: 30_000 },
      );
    }
    return {
      env: {
        TRACEHOUND_REDIS_STATE_URL: `redis://${GROUP}`,
        TRACEHOUND_REDIS_STATE_SENTINELS: sentinels.join(','),
      },
      primary,
      replica,
      async cutReplication() {
        await primary.call('ACL', 'SETUSER', 'default', '-psync', '-sync');
        await primary.call('CLIENT', 'KILL', 'TYPE', 'replica');
        await waitFor(async () => (await replica.info('replication')).includes('master_link_status:down'), {
          what: 'the replica to lose its primary',
        });
      },
      async killPrimary() {
        await stack.part('redis-state').kill();
        await waitFor(async () => (await replica.info('replication')).includes('role:master'), {
          what: 'the replica to be promoted',
          timeoutMs: 30_000,
        });
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Sentinels know no memory policy, so the role that is not checked. */
function connectSentinel(address: string): Promise<Redis> {
  return waitFor(() => connectRedis(`redis://${address}`, { role: 'edge' }).catch(() => undefined), {
    what: `a sentinel at ${address}`,
  });
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  await new Promise((done) => server.close(done));
  return address.port;
}
