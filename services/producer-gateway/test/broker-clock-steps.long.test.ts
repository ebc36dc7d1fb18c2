import { openStackWithClocks, type StackWithClocks } from '@tracehound/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { anEvent, type GatewayWorld, openWorld, postEvents, ready, sharedServers } from './gateway-world.fixture.ts';

const HOUR_MS = 3_600_000;

let servers: StackWithClocks;
let world: GatewayWorld;
beforeAll(async () => {
  servers = await openStackWithClocks(['kafka', 'registry', 'redis-edge'], ['kafka']);
  world = await openWorld(sharedServers(servers.stack.addresses), 'gw');
}, 120_000);
afterAll(async () => {
  await world?.close();
  await servers?.close();
});

test('clock-steps: brokers an hour back, right, ahead and right: every event is taken, in the log and dated by the gateway', {
  timeout: 120_000,
}, async () => {
  const app = await world.start();
  await ready(app);
  const offsets = new Map<string, number>();
  for (const offsetMs of [0, -HOUR_MS, 0, HOUR_MS, 0]) {
    servers.step('kafka', offsetMs);
    for (let i = 0; i < 50; i++) {
      const event = anEvent();
      const begun = performance.now();
      expect((await postEvents(app, event)).status).toBe(200);
      expect(performance.now() - begun).toBeLessThan(5_000);
      offsets.set(`acme|${event.event_id}`, offsetMs);
    }
  }
  const written = await world.events();
  expect(written.map(({ record }) => record.key?.toString()).sort()).toEqual([...offsets.keys()].sort());
  for (const { record, decoded } of written) {
    const receivedAtMs = 'envelope' in decoded.value ? decoded.value.envelope.received_at : 0;
    expect(Math.abs(receivedAtMs - Date.now())).toBeLessThan(120_000);
    const offsetMs = offsets.get(record.key?.toString() ?? '') ?? Number.NaN;
    expect(Math.abs(record.appendTimeMs - receivedAtMs - offsetMs)).toBeLessThan(30_000);
  }
});
