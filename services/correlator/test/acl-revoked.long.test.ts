import { namespaced } from '@tracehound/config';
import { openStackWithRights, type StackWithRights, waitFor } from '@tracehound/testkit';
import { afterAll, beforeAll, describe, it } from 'vitest';
import type { CorrelatorApp } from '../src/app.ts';
import { type CorrelatorWorld, correlatorWorld } from './correlator-world.fixture.ts';
import { eventsOf, expectExact, flowing, sendSliced, untilReadiness } from './stream.fixture.ts';

/** A broker of its own that looks at rights. */
let own: StackWithRights;
beforeAll(async () => {
  own = await openStackWithRights(['kafka', 'registry', 'redis-state']);
}, 120_000);
afterAll(() => own?.close());

/** Takes a right away in the middle of a stream, gives it back once `told` has resolved, and asks for E1 and E2. */
async function withoutRight(
  seed: number,
  change: (world: CorrelatorWorld, verb: 'revoke' | 'grant') => Promise<void>,
  told: (world: CorrelatorWorld, app: CorrelatorApp) => Promise<void>,
): Promise<void> {
  const { redisStateUrl } = own.stack.addresses;
  const world = await correlatorWorld({ environment: own.stack.environment(), redisStateUrl });
  try {
    const events = eventsOf(seed);
    const app = await world.app();
    await sendSliced(world, events, async (slice) => {
      if (slice === 1) await flowing(world);
      if (slice === 2) await change(world, 'revoke');
      if (slice !== 4) return;
      await told(world, app);
      await change(world, 'grant');
    });
    await expectExact(world, events);
    await untilReadiness(app, { status: 200 });
  } finally {
    await world.close();
  }
}

describe('acl-revoked', { timeout: 180_000 }, () => {
  it.each([
    ['read', 'security.events', 71],
    ['write', 'security.matches', 72],
    ['read', 'security.matches', 73],
    ['write', 'security.alerts', 74],
  ] as const)(
    'acl-revoked: no right to %s %s in the middle of a stream; with it again E1 and E2 hold',
    (right, name, seed) =>
      withoutRight(
        seed,
        (world, verb) => own.rights[verb](world.topic(name), right),
        async (world, app) => {
          await waitFor(async () => world.log().includes('SEC_KAFKA_UNAUTHORIZED'), {
            what: 'a log line that says what is missing',
            timeoutMs: 60_000,
          });
          if (right === 'read') {
            await untilReadiness(app, {
              status: 503,
              check: 'reading',
              says: /may not be read \(SEC_KAFKA_UNAUTHORIZED\)/,
            });
          }
        },
      ),
  );

  it.each([
    ['correlator-a', 75],
    ['correlator-b', 76],
  ] as const)(
    'acl-revoked: no right to be in the group %s in the middle of a stream; with it again E1 and E2 hold',
    (name, seed) =>
      withoutRight(
        seed,
        (world, verb) => own.rights[`${verb}Group`](namespaced(world.namespace, name)),
        (_, app) =>
          untilReadiness(app, { status: 503, check: 'reading', says: /may not be joined \(SEC_KAFKA_UNAUTHORIZED\)/ }),
      ),
  );
});
