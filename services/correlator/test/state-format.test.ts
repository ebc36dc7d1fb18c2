import { STATE_VERSION, STATE_VERSION_BEFORE } from '@tracehound/correlation';
import { connectRedis, type Redis } from '@tracehound/redis';
import { testStack, waitFor } from '@tracehound/testkit';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { type CorrelatorWorld, correlatorWorld } from './correlator-world.fixture.ts';
import { eventsOf, expectExact, flowing, metricOf, sendSliced } from './stream.fixture.ts';

/** Told so, a process writes byte by byte what the release before wrote (`packages/correlation`, state-version.test.ts). */
const AS_RELEASE_BEFORE = { TRACEHOUND_CORRELATOR_STATE_FORMAT: 'previous' };

let redis: Redis;
beforeAll(async () => {
  redis = await connectRedis((await testStack()).redisStateUrl, { role: 'state' });
});
afterAll(() => redis.disconnect());

/** Version bytes of all groups in the store. */
async function storedVersions({ namespace, admin, topic }: CorrelatorWorld): Promise<readonly (number | undefined)[]> {
  const partitions = await admin.partitionCount(topic('security.matches'));
  const versions = new Set<number | undefined>();
  for (let partition = 0; partition < partitions; partition++) {
    const groups = await redis.hgetallBuffer(`{${namespace}.p${partition}}:groups`);
    for (const blob of Object.values(groups)) versions.add(blob[0]);
  }
  return [...versions];
}

/** Until there are groups, and all of this version. */
async function untilStoredIn(world: CorrelatorWorld, version: number): Promise<void> {
  await waitFor(async () => (await storedVersions(world)).join() === String(version), {
    what: `groups of version ${version} alone\n${world.log()}`,
    timeoutMs: 30_000,
  });
}

describe('X8 two releases on one state', () => {
  it('rolling-upgrade: from the release before to this one and back, one process at a time', async () => {
    const world = await correlatorWorld();
    try {
      const events = eventsOf(41, 420);
      const before = world.spawn(AS_RELEASE_BEFORE);
      let after = await world.app(AS_RELEASE_BEFORE);
      const steps: readonly (() => Promise<void>)[] = [
        () => flowing(world),
        // The first process of this release; one of the release before is killed, the other still takes partitions over.
        async () => {
          await untilStoredIn(world, STATE_VERSION_BEFORE);
          await before.kill();
          const first = await world.app();
          await waitFor(async () => (await storedVersions(world)).includes(STATE_VERSION), { what: 'a newer group' });
          await first.stop();
        },
        // What the newer one has written is read and written back. Then the last process of the release before goes.
        async () => {
          await untilStoredIn(world, STATE_VERSION_BEFORE);
          const last = after;
          after = await world.app();
          await last.stop();
        },
        () => untilStoredIn(world, STATE_VERSION),
        // And back again: the release before may be put in place once nothing of this one is left in the store.
        async () => {
          const last = after;
          after = await world.app(AS_RELEASE_BEFORE);
          await last.stop();
          await untilStoredIn(world, STATE_VERSION_BEFORE);
          await waitFor(async () => (await metricOf(after, /^correlator_groups_to_rewrite\{/)) === 0, {
            what: 'the gauge to say that nothing is left to rewrite',
          });
        },
      ];
      await sendSliced(world, events, async (slice) => steps[slice]?.());
      await expectExact(world, events);
    } finally {
      await world.close();
    }
  });
});
