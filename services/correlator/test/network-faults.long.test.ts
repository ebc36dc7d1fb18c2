import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type FaultyLink, openFaultyLink, openStack, type Stack, type Toxic } from '@tracehound/stack';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { correlatorWorld } from './correlator-world.fixture.ts';
import { eventsOf, expectExact, flowing, sendSliced } from './stream.fixture.ts';

/** Servers of their own: the correlators reach the broker through a proxy, the test past it. */
let directory: string;
let stack: Stack;
let link: FaultyLink;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tracehound-network-'));
  stack = await openStack({ directory, mode: 'native', brokerLinks: true });
  const [broker] = stack.brokerLinks;
  if (broker === undefined) throw new Error('the broker has no link');
  link = await openFaultyLink(broker);
}, 120_000);
afterAll(async () => {
  await link?.stop();
  await stack?.stop({ wipe: true });
  await rm(directory, { recursive: true, force: true });
});

const TOXICS: readonly Toxic[] = [
  { type: 'latency', attributes: { latency: 300, jitter: 200 } },
  { type: 'bandwidth', attributes: { rate: 32 } },
  { type: 'slicer', attributes: { average_size: 64, delay: 200 } },
  { type: 'timeout', attributes: { timeout: 0 } },
  { type: 'reset_peer', attributes: { timeout: 50 } },
  { type: 'limit_data', attributes: { bytes: 10_000 } },
];

/** Longer than the stall time-out of a fetch's first answer, shorter than two sessions. */
const DISTURBED_MS = 6_000;

describe('between correlators and the broker', () => {
  it.each(TOXICS)(
    'toxi-kafka: $type in the middle of a stream, E1 and E2 hold',
    { timeout: 120_000 },
    async (toxic) => {
      const world = await correlatorWorld({
        environment: stack.environment(),
        redisStateUrl: stack.addresses.redisStateUrl,
        kafkaBrokers: [link.address],
      });
      try {
        const events = eventsOf(30);
        const correlator = world.spawn();
        await sendSliced(world, events, async (slice) => {
          if (slice === 1) await flowing(world);
          if (slice !== 2 && slice !== 4) return;
          await link.disturb(toxic);
          await delay(DISTURBED_MS); // A fault of the network is a duration.
          await link.heal();
        });
        await expectExact(world, events);
        expect(correlator.child.exitCode).toBeNull();
      } finally {
        await link.heal();
        await world.close();
      }
    },
  );
});
