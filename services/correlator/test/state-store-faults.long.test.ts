import { cp, rm } from 'node:fs/promises';
import type { Redis } from '@tracehound/redis';
import { openOwnStack, waitFor } from '@tracehound/testkit';
import { describe, expect, it } from 'vitest';
import type { CorrelatorWorld } from './correlator-world.fixture.ts';
import { exactOnRedis, moreEvents, type OwnRedis, withOwnRedis } from './own-redis.fixture.ts';
import { metricOf, untilReadiness } from './stream.fixture.ts';

const onOwnRedis = () => openOwnStack({ kinds: ['redis-state'] });
const exactDespite = (seed: number, fault: (own: OwnRedis) => ReturnType<Parameters<typeof exactOnRedis>[2]>) =>
  exactOnRedis(onOwnRedis, seed, fault);

const PARTITIONS = 4;
const HELD = /_acquired_total\{status="held"\}/;
const EMPTY = /_acquired_total\{status="empty"\}/;
const IN_DOUBT = /^correlator_ownership_lost_total\{outcome="unknown"\}/;

/** Next matches offset of every partition, as the state says. */
function positions(redis: Redis, world: CorrelatorWorld): Promise<readonly number[]> {
  const keys = Array.from({ length: PARTITIONS }, (_, partition) => `{${world.namespace}.p${partition}}:meta`);
  return Promise.all(keys.map(async (key) => Number(await redis.hget(key, 'next'))));
}

describe.concurrent('the state store fails in the middle of a stream', { timeout: 150_000 }, () => {
  it(
    'redis-kill-empty: killed, and back without a single key',
    exactDespite(41, async ({ app, stack, files }) => {
      const before = await metricOf(app, EMPTY);
      await stack.part('redis-state').kill();
      await untilReadiness(app, { status: 503, check: 'state', says: /Redis/ });
      await rm(files, { recursive: true, force: true });
      await stack.part('redis-state').restart();
      await waitFor(async () => (await metricOf(app, EMPTY)) >= before + PARTITIONS, {
        what: 'every partition to be taken empty',
      });
      return [];
    }),
  );

  it(
    'redis-lost-tail: the server comes back as it was a moment earlier',
    exactDespite(42, async ({ world, app, stack, redis, files }) => {
      const earlier = `${files}.earlier`;
      await cp(files, earlier, { recursive: true });
      const copied = await positions(redis, world);
      const more = moreEvents(420);
      await world.send(more);
      // The copy is at most as new as `copied`, so every partition loses a tail.
      await waitFor(async () => (await positions(redis, world)).every((next, i) => next > (copied[i] ?? 0)), {
        what: 'every partition to move on',
      });
      const before = await metricOf(app, HELD);
      await stack.part('redis-state').kill();
      await rm(files, { recursive: true, force: true });
      await cp(earlier, files, { recursive: true });
      await stack.part('redis-state').restart();
      await waitFor(async () => (await metricOf(app, HELD)) >= before + PARTITIONS, {
        what: 'every partition to be taken from the earlier state',
      });
      return more;
    }),
  );

  it(
    'redis-oom: a full server is back-pressure, nothing leaves, and it goes on by itself',
    exactDespite(43, async ({ world, app, redis }) => {
      await redis.config('SET', 'maxmemory', '1');
      await untilReadiness(app, { status: 503, check: 'partitions', says: /memory|flush/ });
      const alerts = (await world.records('security.alerts')).length;
      const refused = await metricOf(app, IN_DOUBT);
      const more = moreEvents(430);
      await world.send(more);
      expect(refused).toBeGreaterThan(0);
      // Held back by the refusal, not by chance: the partitions still say why.
      await untilReadiness(app, { status: 503, check: 'partitions', says: /memory|flush/ });
      expect((await world.records('security.alerts')).length).toBe(alerts);
      await redis.config('SET', 'maxmemory', '0');
      await untilReadiness(app, { status: 200 });
      return more;
    }),
  );

  it(
    'redis-readonly: a demoted primary refuses every write until it is one again',
    exactDespite(44, async ({ app, redis }) => {
      // Nobody listens at port 1, so the server keeps its data.
      await redis.replicaof('127.0.0.1', 1);
      await untilReadiness(app, { status: 503, check: 'partitions', says: /take commands|flush/ });
      await redis.replicaof('NO', 'ONE');
      await untilReadiness(app, { status: 200 });
      return [];
    }),
  );

  it(
    'redis-loading: a server that still reads its files takes no commands yet',
    exactDespite(45, async ({ app, stack, redis }) => {
      const fill = "for i = 1, 300000 do redis.call('SET', 'filler' .. i, i) end";
      for (let part = 0; part < 2; part++) await redis.eval(fill, 0);
      const server = stack.part('redis-state');
      await server.kill();
      const restarting = server.restart();
      await waitFor(async () => /LOADING/.test((await server.health()).detail), {
        what: 'the server to say that it is loading',
        intervalMs: 5,
      });
      await restarting;
      await untilReadiness(app, { status: 200 });
      return [];
    }),
  );

  it(
    'redis-busy: a script holds the server up for longer than a command may take',
    exactDespite(46, async ({ app, redis }) => {
      const before = await metricOf(app, IN_DOUBT);
      await redis.config('SET', 'busy-reply-threshold', '100');
      const script = `local function now() local t = redis.call('TIME') return t[1] * 1000 + t[2] / 1000 end
        local stop = now() + 2500
        while now() < stop do end`;
      await redis.eval(script, 0);
      expect(await metricOf(app, IN_DOUBT)).toBeGreaterThan(before);
      await untilReadiness(app, { status: 200 });
      return [];
    }),
  );

  it('redis-eviction: a policy that may evict keys ends the service at boot; later it shows in readiness', async () => {
    await withOwnRedis(onOwnRedis, async ({ world, app, redis }) => {
      await untilReadiness(app, { status: 200 });
      await redis.config('SET', 'maxmemory-policy', 'allkeys-lru');
      const refused = world.spawn();
      const ended = await Promise.race([
        refused.ended,
        new Promise((resolve) => setTimeout(resolve, 30_000, 'it still runs')),
      ]);
      expect(ended).toEqual({ code: 1, signal: null });
      expect(refused.log()).toMatch(/"SEC_CORRELATOR_STATE_EVICTION"/);
      await untilReadiness(app, { status: 503, check: 'state', says: /noeviction/ });
    });
  });
});
