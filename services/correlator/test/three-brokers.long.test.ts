import { activeController, type PartName } from '@tracehound/stack';
import { endedByFullDisk, fillDisk, type OwnStack, openOwnStack, waitFor } from '@tracehound/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CorrelatorWorld, correlatorWorld } from './correlator-world.fixture.ts';
import { eventsOf, expectExact, flowing, sendSliced, untilReadiness } from './stream.fixture.ts';

/** Brokers of their own, which are controllers too, as in small clusters. */
let own: OwnStack;
beforeAll(async () => {
  own = await openOwnStack({ brokers: 3 });
}, 180_000);
afterAll(() => own?.close());

/** The node that the brokers other than `notAsked` follow as controller; waits while there is none. */
function controller(notAsked?: number): Promise<number> {
  const brokers = own.stack.addresses.kafkaBrokers.filter((_, index) => index + 1 !== notAsked);
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

async function withWorld(
  inSyncOfThree: (topic: string) => number,
  body: (world: CorrelatorWorld) => Promise<void>,
): Promise<void> {
  const { redisStateUrl } = own.stack.addresses;
  const world = await correlatorWorld({ environment: own.stack.environment(), redisStateUrl, inSyncOfThree });
  try {
    await body(world);
  } finally {
    await world.close();
  }
}

/** What comes in may lose a broker, what the correlator writes may not. */
const inSyncOfResults = (topic: string): number => (/\.security\.(events|telemetry)$/.test(topic) ? 2 : 3);

const POISON = { key: 'acme|poison', value: Buffer.from('not Avro at all') };

/** How a write is not possible: for certain with one broker gone of three that it needs, unknown without a quorum. */
const TOO_FEW = [
  { what: 'one broker gone of three that results need', inSyncOfThree: inSyncOfResults, gone: [3] },
  { what: 'two of three brokers gone', inSyncOfThree: () => 2, gone: [2, 3] },
] as const;

describe('three brokers', { timeout: 180_000 }, () => {
  it('controller-failover: the active controller is killed in the middle of a stream, E1 and E2 hold', () =>
    withWorld(
      () => 2,
      async (world) => {
        const events = eventsOf(61);
        await world.app();
        const killed: number[] = [];
        await sendSliced(world, events, async (slice) => {
          if (slice === 1) await flowing(world);
          if (slice === 2) {
            const active = await controller();
            await own.stack.part(partOf(active)).kill('SIGKILL');
            killed.push(active);
            expect(await controller(active)).not.toBe(active);
          }
          if (slice === 4) await own.stack.part(partOf(killed[0] ?? 0)).restart();
        });
        expect(killed).toHaveLength(1);
        await expectExact(world, events);
      },
    ));

  it('disk-full: the disk of the active controller is full in the middle of a stream, E1 and E2 hold', () =>
    withWorld(
      () => 2,
      async (world) => {
        const events = eventsOf(62);
        await world.app();
        const full: PartName[] = [];
        await sendSliced(world, events, async (slice) => {
          if (slice === 1) await flowing(world);
          if (slice === 2) {
            full.push(partOf(await controller()));
            for (const name of full) await fillDisk(own.stack, name);
          }
          if (slice === 3) for (const name of full) await endedByFullDisk(own.stack, name);
          if (slice === 4) for (const name of full) await own.stack.part(name).restart();
        });
        expect(full).toHaveLength(1);
        await expectExact(world, events);
      },
    ));

  it.each(TOO_FEW)('min-isr-lost: $what in the middle of a stream, E1 and E2 hold', ({ inSyncOfThree, gone }) =>
    withWorld(inSyncOfThree, async (world) => {
      const events = eventsOf(63);
      const app = await world.app();
      await untilReadiness(app, { status: 200 });
      const takesEvents = gone.length === 1;
      await sendSliced(world, events, async (slice) => {
        if (slice === 1) await flowing(world);
        if (slice === 2) {
          await Promise.all(gone.map((node) => own.stack.part(partOf(node)).kill('SIGKILL')));
          await untilReadiness(app, { status: 503 });
          // Neither dead letters nor matches can go out now.
          if (takesEvents)
            await world.producer.sendTo({ topic: world.topic('security.events'), partition: 1 }, [POISON]);
        }
        if (slice === (takesEvents ? 4 : 2)) {
          await Promise.all(gone.map((node) => own.stack.part(partOf(node)).restart()));
          await untilReadiness(app, { status: 200 });
        }
      });
      await expectExact(world, events);
      const dead = (await world.records('security.events.dlq')).map(({ key }) => key?.toString());
      expect(dead).toEqual(takesEvents ? [POISON.key] : []);
    }),
  );
});
