import { waitFor } from '@tracehound/testkit';
import { expect } from 'vitest';
import type { SinkWorld } from './sink-world.fixture.ts';

/** Events, by the keys they were sent with: each is one row and is announced, and nothing else is there. */
export async function expectOneRowEach(world: SinkWorld, keys: readonly string[]): Promise<void> {
  const { rows } = await world.database.admin.query<Record<string, bigint>>(
    `SELECT count(*) AS stored, count(DISTINCT (topic_id, kafka_partition, kafka_offset)) AS positions,
       count(DISTINCT event_id) AS ids, (SELECT count(*) FROM audit.gap) AS gaps FROM audit.event`,
  );
  const all = BigInt(keys.length);
  expect(rows[0]).toEqual({ stored: all, positions: all, ids: all, gaps: 0n });
  await untilAnnounced(world, keys);
}

/** At least once, by id: an announcement whose answer was lost is made again. */
export async function untilAnnounced(world: SinkWorld, keys: readonly string[]): Promise<void> {
  await waitFor(
    async () => {
      const announced = await world.records('security.event-detected');
      return new Set(announced.map((record) => record.key?.toString())).size === keys.length;
    },
    { what: 'every announcement', timeoutMs: 30_000 },
  );
}
