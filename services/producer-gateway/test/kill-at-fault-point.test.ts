import { once } from 'node:events';
import { testStack, waitFor } from '@tracehound/testkit';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { endGateways, type GatewayProcess, launchGateway, listening } from './gateway-process.fixture.ts';
import {
  anEvent,
  type GatewayWorld,
  openWorld,
  postEvents,
  ready,
  type Sent,
  sharedServers,
} from './gateway-world.fixture.ts';

let world: GatewayWorld;

beforeAll(async () => {
  const stack = await testStack();
  world = await openWorld(sharedServers(stack), stack.namespace());
});

afterEach(endGateways);

afterAll(async () => {
  await world.close();
});

const launch = (changes: Readonly<Record<string, string>> = {}, args: readonly string[] = []): GatewayProcess =>
  launchGateway(world.env(changes), args);

describe('killed at a fault point', () => {
  test.each([
    ['g:after-authenticate', 0],
    ['g:before-produce', 0],
    ['g:after-produce', 2],
    ['g:before-respond', 2],
  ])(
    '%s: the client has no answer, sends again, and every event is in the log (%d copies by then)',
    async (point, copies) => {
      const batch = [anEvent(), anEvent()];
      const first = launch({ TRACEHOUND_FAULT: `${point}:2` });
      const app = await listening(first);
      await ready(app);
      expect((await postEvents(app, anEvent())).status).toBe(200);
      const died = once(first.child, 'exit');
      await expect(postEvents(app, batch)).rejects.toThrow();
      expect((await died)[1]).toBe('SIGKILL');
      const inLog = async (): Promise<number> => {
        const keys = (await world.events()).map(({ record }) => record.key?.toString());
        return batch.reduce((sum, event) => sum + keys.filter((key) => key === `acme|${event.event_id}`).length, 0);
      };
      expect(await inLog()).toBe(copies);

      const second = await listening(launch());
      await ready(second);
      const answer: Sent = await postEvents(second, batch);
      expect(answer.status).toBe(200);
      // A copy written before the death is written again: consumers deduplicate by event id (X6).
      expect((answer.body.accepted ?? 0) + (answer.body.duplicate ?? 0)).toBe(2);
      expect(await inLog()).toBeGreaterThanOrEqual(2);
    },
  );

  test('g:on-start: dies before it listens, and the next start is whole', async () => {
    const first = launch({ TRACEHOUND_FAULT: 'g:on-start' });
    expect((await once(first.child, 'exit'))[1]).toBe('SIGKILL');
    expect(first.output()).not.toContain('listening');
    await ready(await listening(launch()));
  });
});

describe('the process', () => {
  test('SIGTERM: drains and ends with 0', async () => {
    const process = launch();
    const app = await listening(process);
    await ready(app);
    const answers = Promise.all(
      Array.from({ length: 20 }, () =>
        postEvents(
          app,
          Array.from({ length: 20 }, () => anEvent()),
        ),
      ),
    );
    await waitFor(async () => (await fetch(`${app.addresses.internal}/metrics`)).ok, { what: 'metrics' });
    const ended = once(process.child, 'exit');
    const begun = performance.now();
    process.child.kill('SIGTERM');
    const statuses = await answers.then(
      (sent) => sent.map((answer) => answer.status),
      () => [],
    );
    expect(statuses.every((status) => status === 200 || status === 503)).toBe(true);
    expect((await ended)[0]).toBe(0);
    // Far below the 25 s of the contract: connections that clients keep alive do not hold it up.
    expect(performance.now() - begun).toBeLessThan(8_000);
  });

  test('bad configuration: ends with 2 and names every key', async () => {
    const process = launch({
      TRACEHOUND_GATEWAY_PORT: '99999',
      TRACEHOUND_KAFKA_BROKERS: '',
      TRACEHOUND_GATEWAY_EVENTS_MAX: 'many',
    });
    expect((await once(process.child, 'exit'))[0]).toBe(2);
    for (const key of ['TRACEHOUND_GATEWAY_PORT', 'TRACEHOUND_KAFKA_BROKERS', 'TRACEHOUND_GATEWAY_EVENTS_MAX']) {
      expect(process.output()).toContain(key);
    }
  });

  test('--help shows every key and starts nothing', async () => {
    const process = launch({}, ['--help']);
    expect((await once(process.child, 'exit'))[0]).toBe(0);
    expect(process.output()).toContain('TRACEHOUND_GATEWAY_API_KEYS_FILE');
    expect(process.output()).not.toContain('listening');
  });

  test('a broken key file: ends with 1 and says so', async () => {
    const process = launch({ TRACEHOUND_GATEWAY_API_KEYS_FILE: '/dev/null' });
    expect((await once(process.child, 'exit'))[0]).toBe(1);
    expect(process.output()).toContain('SEC_GATEWAY_API_KEYS');
  });
});
