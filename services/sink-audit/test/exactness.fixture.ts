import { createHash } from 'node:crypto';
import { untilReadiness, waitFor } from '@tracehound/testkit';
import { expect } from 'vitest';
import type { SinkApp } from '../src/app.ts';
import { INTAKE_TOPICS } from '../src/domain/intake-topics.ts';
import { loginFailure } from './event.fixture.ts';
import type { SinkWorld } from './sink-world.fixture.ts';

export type Disturbed = {
  readonly world: SinkWorld;
  readonly app: SinkApp;
  /** Lines from `warn` on. */
  readonly log: readonly string[];
  /** Severe events, which are announced once they are stored. */
  send(count: number): Promise<void>;
};

/** Whatever `disturb` does: every event is one row, byte by byte, and is announced, and the sink lives on. Closes the world. */
export async function exactDespite(world: SinkWorld, disturb: (disturbed: Disturbed) => Promise<void>): Promise<void> {
  try {
    const log: string[] = [];
    const app = await world.app({ TRACEHOUND_LOG_LEVEL: 'warn' }, (line) => log.push(line));
    const sent: string[] = [];
    const send = async (count: number): Promise<void> => {
      const events = Array.from({ length: count }, () => loginFailure({ severity: 'HIGH' }));
      await world.send(events);
      sent.push(...events.map((event) => `acme|${event.envelope.event_id}`));
    };
    await send(40);
    await world.caughtUp();
    await disturb({ world, app, log, send });
    await send(40);
    await world.caughtUp(60_000);
    await untilReadiness(app.addresses.internal, { ready: true });
    await expectOneRowEach(world, sent);
    await expectRowsEqualLog(world);
    expect(log.filter((line) => line.includes('"fatal"'))).toEqual([]);
  } finally {
    await world.close();
  }
}

/**
 * Events, by the keys they were sent with: each is one row and is announced, and nothing else is there. What a producer that
 * lost an answer sent again is a row at a position of its own, marked as a copy (X6).
 */
export async function expectOneRowEach(world: SinkWorld, keys: readonly string[]): Promise<void> {
  const { rows } = await world.database.admin.query<Record<string, bigint>>(
    `SELECT count(*) FILTER (WHERE NOT is_duplicate) AS stored, count(DISTINCT event_id) AS ids,
       count(*) - count(DISTINCT (topic_id, kafka_partition, kafka_offset)) AS twice,
       (SELECT count(*) FROM audit.gap) AS gaps FROM audit.event`,
  );
  const all = BigInt(keys.length);
  expect(rows[0]).toEqual({ stored: all, ids: all, twice: 0n, gaps: 0n });
  await untilAnnounced(world, keys);
}

/**
 * Every record but a marker is one row with its very bytes and coordinates, or one failure with their digest, and nothing
 * else is there (E3). Returns how many.
 */
export async function expectRowsEqualLog(world: SinkWorld): Promise<number> {
  const topicIds = await world.admin.topicIds(INTAKE_TOPICS.map((name) => world.topic(name)));
  const log: string[] = [];
  for (const name of INTAKE_TOPICS) {
    for (const record of await world.records(name)) {
      if (record.headers['th_marker'] !== undefined) continue;
      const sha = createHash('sha256')
        .update(record.value ?? '')
        .digest('hex');
      log.push([name, topicIds.get(record.topic), record.partition, record.offset, record.appendTimeMs, sha].join(' '));
    }
  }
  const { rows } = await world.database.admin.query<{ line: string }>(
    `SELECT concat_ws(' ', topic, topic_id, kafka_partition, kafka_offset,
       round(extract(epoch FROM recorded_at) * 1000)::bigint, encode(digest, 'hex')) AS line
     FROM (SELECT topic, topic_id, kafka_partition, kafka_offset, recorded_at, sha256(payload) AS digest FROM audit.event
       UNION ALL SELECT topic, topic_id, kafka_partition, kafka_offset, recorded_at, raw_sha256 FROM audit.delivery_failure
     ) AS stored`,
  );
  expect(rows.map((row) => row.line).sort()).toEqual(log.sort());
  return rows.length;
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
