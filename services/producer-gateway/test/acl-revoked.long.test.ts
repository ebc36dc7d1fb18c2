import { openStackWithRights, type StackWithRights, waitFor } from '@tracehound/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  anEvent,
  type GatewayWorld,
  openWorld,
  postEvents,
  readiness,
  ready,
  sharedServers,
} from './gateway-world.fixture.ts';

let own: StackWithRights;
let world: GatewayWorld;
beforeAll(async () => {
  own = await openStackWithRights(['kafka', 'registry', 'redis-edge']);
  world = await openWorld(sharedServers(own.stack.addresses), 'gw');
}, 120_000);
afterAll(async () => {
  await world?.close();
  await own?.close();
});

test('acl-revoked: no right to write: 503 with Retry-After, not ready, the code in the log; with it again all goes on', async () => {
  const app = await world.start({ TRACEHOUND_GATEWAY_PRODUCE_TIMEOUT: '2s' });
  await ready(app);
  const acknowledged = [anEvent(), anEvent()];
  expect((await postEvents(app, acknowledged)).status).toBe(200);
  await own.rights.revoke('gw.security.events', 'write');
  // The broker learns of it from the controller a moment later: what it still took is acknowledged.
  const refused = await waitFor(
    async () => {
      const event = anEvent();
      const answer = await postEvents(app, event);
      if (answer.status === 503) return { event, answer };
      acknowledged.push(event);
      return null;
    },
    { what: 'a write to be refused' },
  );
  expect(refused.answer.body.results).toMatchObject([{ status: 'retry', event_id: refused.event.event_id }]);
  expect(Number(refused.answer.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
  expect(world.log.some((line) => line.includes('SEC_KAFKA_UNAUTHORIZED'))).toBe(true);
  const down = await waitFor(
    async () => {
      const report = await readiness(app);
      return report.status === 503 && report;
    },
    { what: 'readiness to say no', timeoutMs: 20_000 },
  );
  expect(down.checks.find(({ name }) => name === 'kafka')?.detail).toContain('not acknowledged');

  await own.rights.grant('gw.security.events', 'write');
  await waitFor(async () => (await postEvents(app, refused.event)).status === 200, { what: 'the event to be taken' });
  acknowledged.push(refused.event);
  await ready(app);
  const keys = (await world.events()).map(({ record }) => record.key?.toString());
  expect(keys.sort()).toEqual(acknowledged.map((event) => `acme|${event.event_id}`).sort());
});
