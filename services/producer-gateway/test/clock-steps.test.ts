import { STEPPED_CLOCK_ENVIRONMENT, stepClock, testStack, waitFor } from '@tracehound/testkit';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { endGateways, launchGateway, listening } from './gateway-process.fixture.ts';
import {
  ACME_KEY,
  anEvent,
  type GatewayWorld,
  metricsOf,
  openWorld,
  postEvents,
  readiness,
  ready,
  sharedServers,
} from './gateway-world.fixture.ts';

let world: GatewayWorld;

beforeAll(async () => {
  const stack = await testStack();
  world = await openWorld(sharedServers(stack), stack.namespace());
});
afterEach(endGateways);
afterAll(() => world.close());

describe('clock-steps', () => {
  test('an hour back and then ahead: every request is answered, acknowledged and in the log, copies are known', async () => {
    const gateway = launchGateway(world.env(STEPPED_CLOCK_ENVIRONMENT));
    const app = await listening(gateway);
    await ready(app);
    const acknowledged: string[] = [];
    const answers: { readonly status: number; readonly ms: number }[] = [];
    let isSending = true;
    const sending = (async () => {
      while (isSending) {
        const event = anEvent();
        const begun = performance.now();
        const answer = await postEvents(app, event);
        answers.push({ status: answer.status, ms: performance.now() - begun });
        if (answer.body.accepted === 1) acknowledged.push(event.event_id);
      }
    })();
    const more = async (count: number): Promise<unknown> => {
      const before = answers.length;
      return waitFor(() => answers.length >= before + count, { what: `${count} more answers`, timeoutMs: 30_000 });
    };
    for (let step = 0; step < 3; step++) {
      await more(50);
      await stepClock(gateway.child);
    }
    await more(50);
    isSending = false;
    await sending;
    expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
    expect(Math.max(...answers.map(({ ms }) => ms))).toBeLessThan(5_000);
    expect(acknowledged).toHaveLength(answers.length);
    expect((await readiness(app)).status).toBe(200);
    const keys = (await world.events()).map(({ record }) => record.key?.toString());
    expect(keys.filter((key) => key !== undefined).sort()).toEqual(acknowledged.map((id) => `acme|${id}`).sort());

    const known = anEvent({ event_id: acknowledged[0] });
    expect((await postEvents(app, known)).body.results?.[0]?.status).toBe('duplicate');
    const waits = [...(await metricsOf(app))].filter(([name]) => /seconds_sum/.test(name) && !/skew/.test(name));
    for (const [name, seconds] of waits) expect(seconds, name).toSatisfy((sum: number) => sum >= 0 && sum < 600);
  });

  test('a key in debt is neither locked out by a step back nor let off by one ahead', async () => {
    const gateway = launchGateway(
      world.env({
        ...STEPPED_CLOCK_ENVIRONMENT,
        TRACEHOUND_GATEWAY_KEY_EVENTS_PER_SECOND: '5',
        TRACEHOUND_GATEWAY_KEY_EVENTS_BURST: '5',
      }),
    );
    const app = await listening(gateway);
    await ready(app);
    const send = (count: number) =>
      postEvents(
        app,
        Array.from({ length: count }, () => anEvent()),
        { key: ACME_KEY },
      );
    // 60 events at 5 in a second, less the burst: 11 s of debt.
    expect((await send(60)).status).toBe(200);
    const begun = performance.now();
    for (const step of ['back', 'ahead']) {
      await stepClock(gateway.child);
      const refused = await send(1);
      expect(refused.status, step).toBe(429);
      const retryAfterS = Number(refused.headers.get('retry-after'));
      expect(retryAfterS, step).toBeGreaterThanOrEqual(1);
      expect(retryAfterS, step).toBeLessThanOrEqual(11);
    }
    await waitFor(async () => (await send(1)).status === 200, { what: 'the debt to be paid', timeoutMs: 20_000 });
    expect(performance.now() - begun).toBeGreaterThan(9_000);
    // Paid is paid, and no more: what two hours of steps would have earned is not there.
    await waitFor(async () => (await send(60)).status === 200, { what: 'a second batch' });
    expect((await send(1)).status).toBe(429);
  });
});
