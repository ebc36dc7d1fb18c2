import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Redis } from '@tracehound/redis';
import { waitFor } from '@tracehound/testkit';
import { describe, expect, it } from 'vitest';
import { type CorrelatorWorld, correlatorWorld } from './correlator-world.fixture.ts';
import { sentinelGroup } from './sentinel.fixture.ts';
import { eventsOf, expectExact, flowing, metricOf, sendSliced } from './stream.fixture.ts';

const PARTITIONS = 4;
const HELD = /_acquired_total\{status="held"\}/;

/** Next matches offset of every partition, as the state says. */
function positions(redis: Redis, world: CorrelatorWorld): Promise<readonly number[]> {
  const keys = Array.from({ length: PARTITIONS }, (_, partition) => `{${world.namespace}.p${partition}}:meta`);
  return Promise.all(keys.map(async (key) => Number(await redis.hget(key, 'next'))));
}

describe('a state Redis under sentinels', { timeout: 150_000 }, () => {
  it('sentinel-failover: the primary is killed with a lost tail, the replica is promoted: E1 and E2 hold', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'tracehound-sentinel-'));
    const group = await sentinelGroup(directory);
    const world = await correlatorWorld();
    try {
      const app = await world.app({ ...group.env, TRACEHOUND_CORRELATOR_REDIS_TIMEOUT: '1s' });
      const events = eventsOf(31);
      await sendSliced(world, events, async (slice) => {
        if (slice === 1) await flowing(world);
        if (slice === 2) await group.cutReplication();
        if (slice !== 3) return;
        const kept = await positions(group.replica, world);
        // The replica stands still, so what the primary has beyond it is lost with the primary.
        await waitFor(async () => (await positions(group.primary, world)).every((next, i) => next > (kept[i] ?? 0)), {
          what: 'the primary to run ahead of the replica in every partition',
        });
        expect(await positions(group.replica, world)).toEqual(kept);
        const before = await metricOf(app, HELD);
        await group.killPrimary();
        await waitFor(async () => (await metricOf(app, HELD)) >= before + PARTITIONS, {
          what: `every partition to be taken from the replica\n${world.log()}`,
          timeoutMs: 30_000,
        });
      });
      await expectExact(world, events);
      // It works on the promoted replica, in no other place.
      const ends = await positions(group.replica, world);
      expect(ends.every((next) => next > 0)).toBe(true);
    } finally {
      await world.close();
      await group.close();
      await rm(directory, { recursive: true, force: true });
    }
  });
});
