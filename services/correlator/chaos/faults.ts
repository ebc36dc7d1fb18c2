import { setTimeout as delay } from 'node:timers/promises';
import type { Redis } from '@tracehound/redis';
import type { FaultyLink, Stack, Toxic } from '@tracehound/stack';
import { type SeededRandom, waitFor } from '@tracehound/testkit';
import type { Fleet } from './fleet.ts';

export type FaultWorld = {
  readonly random: SeededRandom;
  readonly fleet: Fleet;
  readonly stack: Stack;
  /** To the state Redis, past the faulty link. */
  readonly redis: Redis;
  readonly links: FaultyLinks | null;
  readonly brokers: 1 | 3;
};

/** Before the state Redis and every broker, for the correlators only; null where Toxiproxy could not be built. */
export type FaultyLinks = { readonly redis: FaultyLink; readonly brokers: readonly FaultyLink[] };

/** A fault from its beginning to its end. Resolves when what was taken away is back; the answer says what was done. */
export type Fault = (world: FaultWorld) => Promise<string>;

const FAULT_POINTS = [
  'a:after-decode',
  'a:before-matches',
  'a:after-matches',
  'a:before-commit',
  'b:after-apply',
  'b:before-flush',
  'b:after-flush',
  'b:after-emit',
  'b:before-commit',
];

/** Longer than the session timeout of the groups: the frozen process has lost its partitions when it wakes. */
const FROZEN_MS = 8_000;

const TOXICS: readonly Toxic[] = [
  { type: 'latency', attributes: { latency: 200, jitter: 150 } },
  { type: 'bandwidth', attributes: { rate: 64 } },
  { type: 'slicer', attributes: { average_size: 64, delay: 200 } },
  { type: 'timeout', attributes: { timeout: 0 } },
  { type: 'reset_peer', attributes: { timeout: 50 } },
  { type: 'limit_data', attributes: { bytes: 20_000 } },
];

/** Reliability cases by name; every one ends by itself. */
export const FAULTS: Readonly<Record<string, Fault>> = {
  async 'kill-9'({ random, fleet }) {
    const member = fleet.member(random.below(8));
    await member?.kill('SIGKILL');
    return 'a process';
  },
  async 'kill-at-point'({ random, fleet }) {
    const member = fleet.member(random.below(8));
    const fault = `${random.pick(FAULT_POINTS)}:${1 + random.below(30)}`;
    fleet.add({ TRACEHOUND_FAULT: fault });
    await delay(2_000); // Time for both to take partitions; the fault comes when its point is passed.
    if (member !== undefined) await fleet.leave(member);
    return fault;
  },
  async zombie({ random, fleet }) {
    const member = fleet.member(random.below(8));
    member?.child.kill('SIGSTOP');
    await delay(FROZEN_MS); // A pause is a duration.
    member?.child.kill('SIGCONT');
    return `frozen for ${FROZEN_MS / 1_000} s`;
  },
  async rebalance({ random, fleet }) {
    const member = fleet.add({});
    await delay(2_000 + random.below(2_000)); // Long enough to take partitions.
    await fleet.leave(member);
    return 'one joined and left';
  },
  async 'redis-flushall'({ redis }) {
    await redis.flushall();
    return 'all state gone';
  },
  async 'redis-kill'({ stack, redis }) {
    await stack.part('redis-state').kill();
    await stack.part('redis-state').restart();
    // The next fault may ask it for something.
    await waitFor(async () => (await redis.ping().catch(() => null)) === 'PONG', {
      what: 'the connection of the soak to Redis',
      timeoutMs: 30_000,
    });
    return 'came back with its log';
  },
  async 'redis-failover'({ random, redis }) {
    const state = await snapshot(redis);
    await delay(500 + random.below(2_500)); // What is written now is lost.
    await restore(redis, state);
    return 'lost its last writes';
  },
  async 'redis-full'({ random, redis }) {
    await redis.config('SET', 'maxmemory', '1');
    await delay(1_000 + random.below(2_000)); // An outage is a duration.
    await redis.config('SET', 'maxmemory', '0');
    return 'out of memory, noeviction';
  },
  async network({ random, links }) {
    return links === null
      ? 'no Toxiproxy here'
      : `${await disturbed(random, links.redis)} between correlators and Redis`;
  },
  async 'kafka-network'({ random, links }) {
    if (links === null) return 'no Toxiproxy here';
    const index = random.below(links.brokers.length);
    return `${await disturbed(random, links.brokers[index])} between correlators and kafka-${index + 1}`;
  },
  async 'broker-pause'({ random, stack, brokers }) {
    const broker = stack.part(brokers === 3 ? random.pick(['kafka-1', 'kafka-2', 'kafka-3'] as const) : 'kafka-1');
    await broker.pause();
    await delay(1_500 + random.below(2_000)); // As above.
    await broker.resume();
    return broker.name;
  },
  async 'broker-kill'({ random, stack, brokers }) {
    const broker = stack.part(brokers === 3 ? random.pick(['kafka-1', 'kafka-2', 'kafka-3'] as const) : 'kafka-1');
    await broker.kill();
    await broker.restart();
    return broker.name;
  },
  async registry({ random, stack }) {
    await stack.part('registry').kill();
    await delay(500 + random.below(2_000)); // As above.
    await stack.part('registry').restart();
    return 'away';
  },
};

async function disturbed(random: SeededRandom, link: FaultyLink | undefined): Promise<string> {
  const toxic = random.pick(TOXICS);
  await link?.disturb(toxic);
  await delay(1_000 + random.below(2_500)); // A fault of the network is a duration.
  await link?.heal();
  return toxic.type;
}

type Snapshot = readonly { readonly key: string; readonly dump: Buffer }[];

/** What a replica holds that hears nothing from now on. */
async function snapshot(redis: Redis): Promise<Snapshot> {
  const keys = await redis.keys('*');
  const dumps = await Promise.all(keys.map(async (key) => ({ key, dump: await redis.dumpBuffer(key) })));
  return dumps.flatMap(({ key, dump }) => (dump === null ? [] : [{ key, dump }]));
}

async function restore(redis: Redis, state: Snapshot): Promise<void> {
  const transaction = redis.multi().flushall();
  for (const { key, dump } of state) transaction.restore(key, 0, dump);
  await transaction.exec();
}
