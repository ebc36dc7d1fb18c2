import { openOwnStackOnSmallDisk, waitFor } from '@tracehound/testkit';
import { describe, expect, it } from 'vitest';
import { exactOnRedis, moreEvents } from './own-redis.fixture.ts';
import { metricOf, untilReadiness } from './stream.fixture.ts';

/** The append-only file of such a stream takes a few MB of it. */
const DISK_BYTES = 32 * 1024 * 1024;

const onSmallDisk = () =>
  openOwnStackOnSmallDisk({ kinds: ['redis-state'], disk: { of: 'redis-state', bytes: DISK_BYTES } });

const PARTITIONS = 4;
const HELD = /_acquired_total\{status="held"\}/;
const DISK = /cannot write to its disk/;

/** Some 4 MB that no compression makes small, so that a new base of the append-only file takes as much. */
const FILL_MEMORY = "for i = 1, 50000 do redis.call('SET', 'filler' .. i, redis.sha1hex(i)) end";

describe.concurrent('the disk of the state store is full in the middle of a stream', { timeout: 150_000 }, () => {
  it(
    'disk-full: the append-only file cannot be written: back-pressure, nothing leaves, it goes on by itself',
    exactOnRedis(onSmallDisk, 71, async ({ world, app, servers }) => {
      await servers.disk.fill();
      await untilReadiness(app, { status: 503, check: 'state', says: DISK });
      await untilReadiness(app, { status: 503, check: 'partitions', says: DISK });
      const alerts = (await world.records('security.alerts')).length;
      const more = moreEvents(710);
      await world.send(more);
      // Held back by the refusal, not by chance: the partitions still say why.
      await untilReadiness(app, { status: 503, check: 'partitions', says: DISK });
      expect((await world.records('security.alerts')).length).toBe(alerts);
      await servers.disk.makeRoom();
      await untilReadiness(app, { status: 200 });
      return more;
    }),
  );

  it(
    'disk-full: a correlator that starts meanwhile says so, and takes its partitions when there is room',
    exactOnRedis(onSmallDisk, 74, async ({ world, app, servers }) => {
      await servers.disk.fill();
      await untilReadiness(app, { status: 503, check: 'state', says: DISK });
      const second = await world.app();
      const more = moreEvents(740);
      await world.send(more);
      await untilReadiness(second, { status: 503, check: 'state', says: DISK });
      await untilReadiness(second, { status: 503, check: 'partitions', says: DISK });
      await servers.disk.makeRoom();
      await untilReadiness(second, { status: 200 });
      expect(await metricOf(second, HELD)).toBeGreaterThan(0);
      await app.stop();
      return more;
    }),
  );

  it(
    'disk-full: killed while it cannot write: it comes back as its file has it, and no group is lost',
    exactOnRedis(onSmallDisk, 72, async ({ world, app, stack, servers }) => {
      await servers.disk.fill();
      const more = moreEvents(720);
      await world.send(more);
      await untilReadiness(app, { status: 503, check: 'state', says: DISK });
      const server = stack.part('redis-state');
      await server.kill();
      await untilReadiness(app, { status: 503, check: 'state', says: /cannot be reached/ });
      const before = await metricOf(app, HELD);
      const restarting = server.restart();
      await untilReadiness(app, { status: 503, check: 'state', says: DISK });
      await servers.disk.makeRoom();
      await restarting;
      await waitFor(async () => (await metricOf(app, HELD)) >= before + PARTITIONS, {
        what: 'every partition to be taken from what the file has',
      });
      return more;
    }),
  );

  it(
    'disk-full: the append-only file cannot be rewritten: it goes on in the old one, and no group is lost',
    exactOnRedis(onSmallDisk, 73, async ({ world, app, stack, servers, redis }) => {
      await redis.eval(FILL_MEMORY, 0);
      await servers.disk.fill({ leave: 1024 * 1024 });
      const rewriting = async (): Promise<string> => {
        const info = await redis.info('persistence');
        const isOver = info.includes('aof_rewrite_in_progress:0');
        return isOver ? (/aof_last_bgrewrite_status:(\w+)/.exec(info)?.[1] ?? '') : 'under way';
      };
      expect(await rewriting()).toBe('ok');
      await redis.bgrewriteaof();
      await waitFor(async () => (await rewriting()) === 'err', { what: 'the rewrite to fail' });
      await untilReadiness(app, { status: 200 });
      const more = moreEvents(730);
      await world.send(more);
      const before = await metricOf(app, HELD);
      await stack.part('redis-state').kill();
      await stack.part('redis-state').restart();
      await waitFor(async () => (await metricOf(app, HELD)) >= before + PARTITIONS, {
        what: 'every partition to be taken from the old file',
      });
      await servers.disk.makeRoom();
      await redis.bgrewriteaof();
      await waitFor(async () => (await rewriting()) === 'ok', { what: 'the rewrite to succeed' });
      return more;
    }),
  );
});
