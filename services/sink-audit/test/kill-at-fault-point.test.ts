import { waitFor } from '@tracehound/testkit';
import { describe, expect, it } from 'vitest';
import { loginFailure } from './event.fixture.ts';
import { ended, logins, sinkWorld } from './sink-world.fixture.ts';

const POINTS = [
  's:after-decode',
  's:before-copy',
  's:after-copy',
  's:after-commit-store',
  's:after-publish',
  's:before-commit-offset',
];

describe('kill -9 at a fault point', () => {
  for (const point of POINTS) {
    it.concurrent(`${point}: rows exactly once, every announcement at least once, poison in both places`, async () => {
      const world = await sinkWorld();
      try {
        const critical = Array.from({ length: 5 }, () => loginFailure({ severity: 'CRITICAL' }));
        await world.send([...logins(100), ...critical]);
        await world.sendRaw('security.events', { key: 'acme|poison', value: Buffer.from('not Avro') });
        // A small batch, so that the second pass of the point lies in the middle of the work.
        const slow = { TRACEHOUND_SINK_BATCH_ROWS_MAX: '7' };
        const child = world.spawn({ ...slow, TRACEHOUND_FAULT: `${point}:2` });
        expect(await ended(child)).toBe('SIGKILL');
        await world.app(slow);
        await world.caughtUp();

        const { rows } = await world.database.admin.query<{
          stored: bigint;
          positions: bigint;
          ids: bigint;
          copies: bigint;
        }>(
          `SELECT count(*) AS stored, count(DISTINCT (topic_id, kafka_partition, kafka_offset)) AS positions,
             count(DISTINCT event_id) AS ids, count(*) FILTER (WHERE is_duplicate) AS copies FROM audit.event`,
        );
        expect(rows[0]).toEqual({ stored: 105n, positions: 105n, ids: 105n, copies: 0n });
        const failures = await world.database.admin.query('SELECT reason, raw_bytes FROM audit.delivery_failure');
        expect(failures.rows).toEqual([{ reason: 'not_framed', raw_bytes: 8 }]);
        const letters = await world.records('security.events.dlq');
        expect(new Set(letters.map((record) => record.headers['th_offset']?.toString())).size).toBe(1);
        const due = critical.map((event) => `acme|${event.envelope.event_id}`).sort();
        await waitFor(
          async () => {
            const announced = await world.records('security.event-detected');
            const keys = [...new Set(announced.map((record) => record.key?.toString()))].sort();
            return JSON.stringify(keys) === JSON.stringify(due);
          },
          { what: 'all five announcements' },
        );
      } finally {
        await world.close();
      }
    });
  }
});
