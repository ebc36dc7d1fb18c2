import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { activeController, openStack, type PartName, type Stack } from '@tracehound/stack';
import { waitFor } from '@tracehound/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { correlatorWorld } from './correlator-world.fixture.ts';
import { eventsOf, expectExact, flowing, sendSliced } from './stream.fixture.ts';

/** Brokers of their own, which are controllers too, as in small clusters. */
let directory: string;
let stack: Stack;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tracehound-brokers-'));
  stack = await openStack({ directory, mode: 'native', brokers: 3 });
}, 180_000);
afterAll(async () => {
  await stack?.stop({ wipe: true });
  await rm(directory, { recursive: true, force: true });
});

/** The node that the brokers other than `notAsked` follow as controller; waits while there is none. */
function controller(notAsked?: number): Promise<number> {
  const brokers = stack.addresses.kafkaBrokers.filter((_, index) => index + 1 !== notAsked);
  return waitFor(
    async () => {
      const ids = await Promise.all(brokers.map((broker) => activeController(broker).catch(() => -1)));
      const [id = -1] = ids;
      return id > 0 && id !== notAsked && ids.every((one) => one === id) ? id : null;
    },
    { what: 'one controller for all', timeoutMs: 30_000 },
  );
}

const partOf = (node: number): PartName => `kafka-${node as 1 | 2 | 3}`;

describe('three brokers', () => {
  it('controller-failover: the active controller is killed in the middle of a stream, E1 and E2 hold', {
    timeout: 180_000,
  }, async () => {
    const world = await correlatorWorld({
      environment: stack.environment(),
      redisStateUrl: stack.addresses.redisStateUrl,
      inSyncOfThree: 2,
    });
    try {
      const events = eventsOf(61);
      await world.app();
      const killed: number[] = [];
      await sendSliced(world, events, async (slice) => {
        if (slice === 1) await flowing(world);
        if (slice === 2) {
          const active = await controller();
          await stack.part(partOf(active)).kill('SIGKILL');
          killed.push(active);
          expect(await controller(active)).not.toBe(active);
        }
        if (slice === 4) await stack.part(partOf(killed[0] ?? 0)).restart();
      });
      expect(killed).toHaveLength(1);
      await expectExact(world, events);
    } finally {
      await world.close();
    }
  });
});
