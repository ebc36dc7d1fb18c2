import { openStackWithClocks, type StackWithClocks, untilReadiness } from '@tracehound/testkit';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { loginFailure } from './event.fixture.ts';
import { expectOneRowEach } from './exactness.fixture.ts';
import { type SinkWorld, sinkWorld } from './sink-world.fixture.ts';

const HOUR_MS = 3_600_000;

let servers: StackWithClocks;
beforeAll(async () => {
  servers = await openStackWithClocks(['kafka', 'registry', 'postgres'], ['kafka', 'postgres']);
}, 120_000);
afterAll(() => servers?.close());
beforeEach(() => servers.restore());

/** How far the clock of a server is from that of this process, ms: append times, or PostgreSQL's own time. */
async function offsetOf(world: SinkWorld, server: 'kafka' | 'postgres'): Promise<number> {
  if (server === 'kafka') {
    const at = { topic: world.topic('detection.rules'), partition: 0 };
    const { appendTimeMs } = await world.producer.sendTo(at, [{ key: 'probe', value: null }]);
    return (appendTimeMs ?? 0) - Date.now();
  }
  const { rows } = await world.database.admin.query<{ now: Date }>('SELECT clock_timestamp() AS now');
  return (rows[0]?.now.getTime() ?? 0) - Date.now();
}

describe('the clock of a server of the sink', () => {
  it.each(['kafka', 'postgres'] as const)(
    'clock-steps: %s an hour back, right, an hour ahead and right: rows and announcements are those of the log, at once',
    { timeout: 180_000 },
    async (server) => {
      const world = await sinkWorld({ environment: { ...process.env, ...servers.stack.environment() } });
      try {
        const app = await world.app();
        const sent: string[] = [];
        let known = loginFailure({ severity: 'HIGH' });
        for (const offsetMs of [0, -HOUR_MS, 0, HOUR_MS, 0]) {
          servers.step(server, offsetMs);
          expect(Math.abs((await offsetOf(world, server)) - offsetMs)).toBeLessThan(60_000);
          const events = Array.from({ length: 100 }, () => loginFailure({ severity: 'HIGH' }));
          await world.send(events);
          sent.push(...events.map((event) => `acme|${event.envelope.event_id}`));
          await world.caughtUp(30_000);
          known = events[0] ?? known;
        }
        await expectOneRowEach(world, sent);
        const { rows } = await world.database.admin.query<Record<string, bigint>>(
          `SELECT count(*) FILTER (WHERE is_duplicate) AS copies, (SELECT count(*) FROM audit.delivery_failure) AS failures,
             count(*) FILTER (WHERE recorded_at < now() - interval '50 minutes') AS back,
             count(*) FILTER (WHERE recorded_at > now() + interval '50 minutes') AS ahead
           FROM audit.event`,
        );
        // A row is dated by its record, and a record by the broker: what PostgreSQL's clock shows is nowhere in it.
        const misdated = server === 'kafka' ? 100n : 0n;
        expect(rows[0]).toEqual({ copies: 0n, failures: 0n, back: misdated, ahead: misdated });

        // A copy that the log dates before its original is a copy all the same.
        servers.step(server, -HOUR_MS);
        await world.send([known]);
        await world.caughtUp(30_000);
        const copies = await world.database.admin.query<{ copies: bigint }>(
          'SELECT count(*) FILTER (WHERE is_duplicate) AS copies FROM audit.event',
        );
        expect(copies.rows[0]?.copies).toBe(1n);
        await untilReadiness(app.addresses.internal, { ready: true, timeoutMs: 30_000 });
      } finally {
        await world.close();
      }
    },
  );
});
