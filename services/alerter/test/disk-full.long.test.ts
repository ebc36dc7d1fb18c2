import {
  type OwnStackOnSmallDisk,
  openOwnStackOnSmallDisk,
  runOutOfWal,
  untilReadiness,
  waitFor,
} from '@tracehound/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AlerterApp } from '../src/app.ts';
import { openAlert } from './alert.fixture.ts';
import { type AlerterWorld, alerterWorld, type SentAlert } from './alerter-world.fixture.ts';
import { expectToldOnce } from './told-once.fixture.ts';

/** The cluster with its databases takes about half of it. */
const DISK_BYTES = 256 * 1024 * 1024;

let own: OwnStackOnSmallDisk;
beforeAll(async () => {
  own = await openOwnStackOnSmallDisk({ kinds: ['postgres'], disk: { of: 'postgres', bytes: DISK_BYTES } });
}, 120_000);
afterAll(() => own?.close());

type Disturbed = {
  readonly world: AlerterWorld;
  readonly app: AlerterApp;
  /** Lines from `warn` on. */
  readonly log: readonly string[];
  /** Alerts whose rows come after the fault, when the sink too can write again. */
  send(): Promise<void>;
};

/** Whatever `disturb` does, which ends with room: every alert is told once, its facts reach the log, and the alerter lives on. */
async function exactDespite(disturb: (disturbed: Disturbed) => Promise<void>): Promise<void> {
  const world = await alerterWorld({
    environment: { ...process.env, TRACEHOUND_POSTGRES_URL: own.stack.addresses.postgresUrl },
  });
  try {
    const log: string[] = [];
    // The lease of a delivery is shorter than the fault.
    const app = await world.app({ TRACEHOUND_LOG_LEVEL: 'warn' }, (line) => log.push(line));
    const before = await world.sendAudited(Array.from({ length: 3 }, () => openAlert()));
    await world.settled();
    const waiting: SentAlert[] = [];
    const send = async (): Promise<void> => {
      waiting.push(...(await world.send(Array.from({ length: 5 }, () => openAlert()))));
    };
    await disturb({ world, app, log, send });
    await untilReadiness(app.addresses.internal, { ready: true });
    await world.audit(waiting);
    const after = await world.sendAudited(Array.from({ length: 3 }, () => openAlert()));
    await world.settled(60_000);
    await expectToldOnce(
      world,
      [...before, ...waiting, ...after].map(({ alert }) => alert.alert_id),
    );
    expect(log.filter((line) => line.includes('"fatal"'))).toEqual([]);
  } finally {
    await world.close();
  }
}

/** People hear of alerts that cannot be stored. */
function untilToldFromMemory(app: AlerterApp): Promise<unknown> {
  return waitFor(
    async () => {
      const page = await (await fetch(`${app.addresses.internal}/metrics`)).text();
      return Number(/alerter_thin_notices_total\{cause="store_away"\} (\d+)/.exec(page)?.[1] ?? 0) > 0;
    },
    { what: 'a notice from memory', timeoutMs: 30_000 },
  );
}

describe('the disk of PostgreSQL is full', { timeout: 180_000 }, () => {
  it('disk-full: no room for rows: not ready with the code, people are told thin, every alert once', () =>
    exactDespite(async ({ app, log, send }) => {
      await own.disk.fill();
      // The last pages of the tables take some alerts yet.
      await untilReadiness(app.addresses.internal, {
        ready: false,
        says: ['partitions wait', 'SEC_PG_DISK_FULL'],
        meanwhile: send,
      });
      await untilToldFromMemory(app);
      expect(log.filter((line) => line.includes('SEC_PG_DISK_FULL'))).not.toEqual([]);
      await own.disk.makeRoom();
    }));

  it('disk-full: no room for the write-ahead log: the server ends itself, people are told thin, every alert once', () =>
    exactDespite(async ({ app, send }) => {
      await own.disk.fill();
      await runOutOfWal(own.stack);
      await send();
      await untilReadiness(app.addresses.internal, { ready: false, says: ['PostgreSQL cannot be reached'] });
      await untilToldFromMemory(app);
      await own.disk.makeRoom();
      await own.stack.part('postgres').restart();
    }));
});
