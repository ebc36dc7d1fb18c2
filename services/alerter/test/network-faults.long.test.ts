import {
  type FaultyServers,
  LINK_FAULTS,
  openFaultyServers,
  untilReadiness,
  whileDisturbed,
} from '@tracehound/testkit';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { openAlert } from './alert.fixture.ts';
import { alerterWorld } from './alerter-world.fixture.ts';
import { expectToldOnce } from './told-once.fixture.ts';

let servers: FaultyServers;
beforeAll(async () => {
  servers = await openFaultyServers({ kinds: ['kafka', 'registry', 'postgres'], store: 'postgres' });
}, 120_000);
afterAll(() => servers?.stop());

describe.each(['kafka', 'postgres'] as const)('between the alerter and %s', (link) => {
  test.each(LINK_FAULTS)(
    'toxi-link: $type: every alert is told once, its facts reach the log, and it goes on by itself',
    { timeout: 120_000 },
    async (toxic) => {
      const world = await alerterWorld({ environment: { ...process.env, ...servers.stack.environment() } });
      try {
        const app = await world.app({
          ...(link === 'kafka'
            ? { TRACEHOUND_KAFKA_BROKERS: servers.kafkaBehindLink() }
            : { TRACEHOUND_POSTGRES_URL: servers.storeBehindLink(world.databaseUrl) }),
        });
        const alerts: string[] = [];
        await whileDisturbed(link === 'kafka' ? servers.kafka : servers.store, toxic, async (phase) => {
          for (let batch = 0; batch < 4; batch++) {
            const some = Array.from({ length: 5 }, () => openAlert());
            await world.sendAudited(some);
            alerts.push(...some.map((alert) => alert.alert_id));
          }
          if (phase !== 'disturbed') await world.settled(60_000);
        });
        await expectToldOnce(world, alerts);
        await untilReadiness(app.addresses.internal, { ready: true, timeoutMs: 30_000 });
      } finally {
        await world.close();
      }
    },
  );
});
