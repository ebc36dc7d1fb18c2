import {
  type FaultyServers,
  LINK_FAULTS,
  openFaultyServers,
  untilReadiness,
  whileDisturbed,
} from '@tracehound/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loginFailure } from './event.fixture.ts';
import { untilAnnounced } from './exactness.fixture.ts';
import { sinkWorld } from './sink-world.fixture.ts';

let servers: FaultyServers;
beforeAll(async () => {
  servers = await openFaultyServers({ kinds: ['kafka', 'registry', 'postgres'], store: 'postgres' });
}, 120_000);
afterAll(() => servers?.stop());

describe.each(['kafka', 'postgres'] as const)('between the sink and %s', (link) => {
  it.each(LINK_FAULTS)(
    'toxi-link: $type: every event is one row, announced, without gap, and it goes on by itself',
    { timeout: 120_000 },
    async (toxic) => {
      const world = await sinkWorld({ environment: { ...process.env, ...servers.stack.environment() } });
      try {
        const app = await world.app(
          link === 'kafka'
            ? { TRACEHOUND_KAFKA_BROKERS: servers.kafkaBehindLink() }
            : { TRACEHOUND_POSTGRES_URL: servers.storeBehindLink(world.database.url) },
        );
        const sent: string[] = [];
        await whileDisturbed(link === 'kafka' ? servers.kafka : servers.store, toxic, async (phase) => {
          for (let batch = 0; batch < 5; batch++) {
            const events = Array.from({ length: 40 }, () => loginFailure({ severity: 'HIGH' }));
            await world.send(events);
            sent.push(...events.map((event) => `acme|${event.envelope.event_id}`));
          }
          if (phase !== 'disturbed') await world.caughtUp(60_000);
        });
        const { rows } = await world.database.admin.query<Record<string, bigint>>(
          `SELECT count(*) AS stored, count(DISTINCT (topic_id, kafka_partition, kafka_offset)) AS positions,
             count(DISTINCT event_id) AS ids, count(*) FILTER (WHERE is_duplicate) AS copies,
             (SELECT count(*) FROM audit.gap) AS gaps, (SELECT count(*) FROM audit.delivery_failure) AS failures
           FROM audit.event`,
        );
        const all = BigInt(sent.length);
        expect(rows[0]).toEqual({ stored: all, positions: all, ids: all, copies: 0n, gaps: 0n, failures: 0n });
        await untilAnnounced(world, sent);
        await untilReadiness(app.addresses.internal, { ready: true, timeoutMs: 30_000 });
      } finally {
        await world.close();
      }
    },
  );
});
