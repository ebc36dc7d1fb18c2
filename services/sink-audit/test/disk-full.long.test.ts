import { type OwnStackOnSmallDisk, openOwnStackOnSmallDisk, runOutOfWal, untilReadiness } from '@tracehound/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exactDespite } from './exactness.fixture.ts';
import { sinkWorld } from './sink-world.fixture.ts';

/** The cluster with its databases takes about half of it. */
const DISK_BYTES = 256 * 1024 * 1024;

/** From room on the disk to the last row: the pause between two tries is 10 s at most. */
const GOES_ON_MS = 15_000;

let own: OwnStackOnSmallDisk;
beforeAll(async () => {
  own = await openOwnStackOnSmallDisk({ kinds: ['postgres'], disk: { of: 'postgres', bytes: DISK_BYTES } });
}, 120_000);
afterAll(() => own?.close());

const world = () => sinkWorld({ postgresUrl: own.stack.addresses.postgresUrl });

describe('the disk of PostgreSQL is full in the middle of a stream', { timeout: 180_000 }, () => {
  it('disk-full: no room for rows: not ready with the code, nothing is lost, it goes on by itself', async () =>
    exactDespite(await world(), async ({ world, app, log, send }) => {
      await own.disk.fill();
      // The last pages of the tables take some rows yet.
      await untilReadiness(app.addresses.internal, {
        ready: false,
        says: ['partitions wait', 'SEC_PG_DISK_FULL'],
        meanwhile: () => send(40),
      });
      expect(log.filter((line) => line.includes('"SEC_PG_DISK_FULL"'))).not.toEqual([]);
      await own.disk.makeRoom();
      await world.caughtUp(GOES_ON_MS);
    }));

  it('disk-full: a sink that starts meanwhile says so, and takes its partitions when there is room', async () =>
    exactDespite(await world(), async ({ world, send }) => {
      await own.disk.fill();
      const second = await world.app();
      await untilReadiness(second.addresses.internal, {
        ready: false,
        says: ['partitions wait', 'SEC_PG_DISK_FULL'],
        meanwhile: () => send(40),
      });
      await own.disk.makeRoom();
      await world.caughtUp(GOES_ON_MS);
      await untilReadiness(second.addresses.internal, { ready: true });
    }));

  it('disk-full: no room for the write-ahead log: the server ends itself, nothing is lost, it goes on by itself', async () =>
    exactDespite(await world(), async ({ world, app, send }) => {
      await own.disk.fill();
      await send(40);
      await runOutOfWal(own.stack);
      await untilReadiness(app.addresses.internal, { ready: false, says: ['PostgreSQL cannot be reached'] });
      await send(40);
      await own.disk.makeRoom();
      await own.stack.part('postgres').restart();
      await world.caughtUp(GOES_ON_MS);
    }));
});
