import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectRedis } from '@tracehound/redis';
import { openStack, type Stack } from '@tracehound/stack';
import { STEPPED_CLOCK_ENVIRONMENT, stepClock, waitFor } from '@tracehound/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SMALL_MEMORY } from './correlator-process.fixture.ts';
import { type CorrelatorWorld, correlatorWorld } from './correlator-world.fixture.ts';
import { eventsOf, expectExact, flowing, metricOf, sendSliced, untilReadiness } from './stream.fixture.ts';

/** A Redis of its own: these tests empty and end it. */
let redisStack: Stack;
let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tracehound-correlator-'));
  redisStack = await openStack({ directory, mode: 'native', kinds: ['redis-state'] });
});
afterAll(async () => {
  await redisStack.stop({ wipe: true });
  await rm(directory, { recursive: true, force: true });
});

describe.concurrent('failures in the middle of a stream', () => {
  it('restart: a drained correlator is followed by another without loss or repetition of meaning', async () => {
    const world = await correlatorWorld();
    try {
      const events = eventsOf(1);
      let app = await world.app();
      await sendSliced(world, events, async (slice) => {
        if (slice !== 2) return;
        await flowing(world);
        await app.stop();
        app = await world.app();
      });
      await expectExact(world, events);
    } finally {
      await world.close();
    }
  });

  it('rebalance-in-stream: a second instance joins, the first one leaves', async () => {
    const world = await correlatorWorld();
    try {
      const events = eventsOf(2);
      const first = await world.app();
      await sendSliced(world, events, async (slice) => {
        if (slice === 1) {
          await flowing(world);
          await world.app();
        }
        if (slice === 4) await first.stop();
      });
      await expectExact(world, events);
    } finally {
      await world.close();
    }
  });

  it('cold-groups: what waits for more hits lies in Redis alone, over a rebalance too', async () => {
    const world = await correlatorWorld();
    try {
      const events = eventsOf(12);
      const first = await world.app(SMALL_MEMORY);
      const apps = [first];
      await sendSliced(world, events, async (slice) => {
        if (slice === 2) {
          await flowing(world);
          apps.push(await world.app(SMALL_MEMORY));
        }
      });
      await expectExact(world, events);
      // How many depends on how the log came in batches: groups met twice in one are read once.
      const read = await Promise.all(apps.map((app) => metricOf(app, /^correlator_groups_read_total/)));
      expect(Math.max(...read)).toBeGreaterThan(0);
    } finally {
      await world.close();
    }
  });

  it('stages apart: a in one instance, b in another', async () => {
    const world = await correlatorWorld();
    try {
      const events = eventsOf(3, 120);
      await world.app({ TRACEHOUND_CORRELATOR_STAGES: 'a' });
      await world.app({ TRACEHOUND_CORRELATOR_STAGES: 'b' });
      await world.send(events);
      await expectExact(world, events);
    } finally {
      await world.close();
    }
  });

  it('redis-flushed and redis-down: FLUSHALL twice, then kill -9 of Redis with an outage of two seconds', async () => {
    const url = redisStack.addresses.redisStateUrl;
    const world = await correlatorWorld({ redisStateUrl: url });
    const redis = await connectRedis(url, { role: 'state' });
    try {
      const events = eventsOf(4);
      const app = await world.app();
      const settledState = async (): Promise<unknown> =>
        waitFor(async () => (await redis.keys(`{${world.namespace}.p*}:meta`)).length === 4, {
          what: 'state in Redis',
        });
      await sendSliced(world, events, async (slice) => {
        if (slice === 1 || slice === 3) {
          await flowing(world);
          await settledState();
          await redis.flushall();
          await settledState();
        }
        if (slice === 4) {
          await redisStack.part('redis-state').kill();
          await untilReadiness(app, { status: 503, check: 'state', says: /Redis/ });
          await redisStack.part('redis-state').restart();
          await untilReadiness(app, { status: 200 });
        }
      });
      await expectExact(world, events);
      const metrics = await (await fetch(`${app.addresses.internal}/metrics`)).text();
      expect(metrics).toMatch(/correlator_partitions_acquired_total\{status="empty"\} ([4-9]|\d\d)/);
    } finally {
      redis.disconnect();
      await world.close();
    }
  });

  it('zombie-consumer: frozen past its session by SIGSTOP, it wakes and is fenced', async () => {
    const world = await correlatorWorld();
    try {
      const events = eventsOf(5);
      const zombie = world.spawn();
      await sendSliced(world, events, async (slice) => {
        if (slice === 0) await flowing(world);
        if (slice === 1) zombie.child.kill('SIGSTOP');
        if (slice !== 3) return;
        const heir = world.spawn();
        await waitFor(async () => heir.times('"partition taken"') === 4, {
          what: `another process to take the partitions\n${heir.log()}`,
          timeoutMs: 40_000,
        });
        zombie.child.kill('SIGCONT');
        await waitFor(async () => zombie.times('"outcome":"fenced"') > 0, {
          what: `the zombie's flush to be fenced\n${zombie.log()}`,
          timeoutMs: 40_000,
        });
      });
      await expectExact(world, events);
    } finally {
      await world.close();
    }
  });

  it('clock-steps: the wall clock goes back an hour and then ahead of the right one, and nothing waits for it', async () => {
    const world = await correlatorWorld();
    try {
      const events = eventsOf(7);
      const stepped = world.spawn(STEPPED_CLOCK_ENVIRONMENT);
      let stalledMs = 0;
      await sendSliced(world, events, async (slice) => {
        if (slice === 0) await flowing(world);
        if (slice !== 1 && slice !== 3) return;
        const stalls = watchProgress(world);
        await stepClock(stepped.child);
        stalledMs = Math.max(stalledMs, await stalls.stop());
      });
      await expectExact(world, events);
      expect(stalledMs).toBeLessThan(5_000);
      expect(stepped.times('no sign of life')).toBe(0);
      expect(stepped.child.exitCode).toBeNull();
    } finally {
      await world.close();
    }
  });

  it('rolling-restart: B stands still for less than five seconds', async () => {
    const world = await correlatorWorld();
    try {
      const events = eventsOf(6);
      const old = [world.spawn(), world.spawn()];
      let stalledMs = 0;
      await sendSliced(world, events, async (slice) => {
        if (slice === 0) await flowing(world);
        if (slice !== 2) return;
        const stalls = watchProgress(world);
        for (const one of old) {
          const next = world.spawn();
          await waitFor(async () => next.times('"partition taken"') > 0, {
            what: `the new process to take a partition\n${next.log()}`,
            timeoutMs: 30_000,
          });
          await one.kill('SIGTERM');
          expect((await one.ended).code).toBe(0);
        }
        stalledMs = await stalls.stop();
      });
      await expectExact(world, events);
      expect(stalledMs).toBeLessThan(5_000);
    } finally {
      await world.close();
    }
  });
});

/** The longest time in which the committed offsets of B did not grow, and the time since they last did. */
function watchProgress(world: CorrelatorWorld): { stop(): Promise<number> } {
  let [longestMs, highest, movedAtMs, isOver] = [0, -1n, performance.now(), false];
  const watching = (async () => {
    while (!isOver) {
      const sum = await world.committedByB();
      if (sum > highest) {
        longestMs = highest < 0n ? 0 : Math.max(longestMs, performance.now() - movedAtMs);
        highest = sum;
        movedAtMs = performance.now();
      }
    }
  })();
  return {
    async stop() {
      const seen = highest;
      await waitFor(async () => highest > seen, { what: 'B to go on', timeoutMs: 20_000 });
      isOver = true;
      await watching;
      return longestMs;
    },
  };
}
