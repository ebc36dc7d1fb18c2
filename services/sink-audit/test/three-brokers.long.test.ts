import type { PartName } from '@tracehound/stack';
import { endedByFullDisk, fillDisk, type OwnStack, openOwnStack, untilReadiness, waitFor } from '@tracehound/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Disturbed, exactDespite } from './exactness.fixture.ts';
import { sinkWorld } from './sink-world.fixture.ts';

let own: OwnStack;
beforeAll(async () => {
  own = await openOwnStack({ brokers: 3, kinds: ['kafka', 'registry', 'postgres'] });
}, 180_000);
afterAll(() => own?.close());

async function exactWithReplicas(
  inSyncOfThree: (topic: string) => number,
  disturb: (disturbed: Disturbed) => Promise<void>,
): Promise<void> {
  const environment = { ...process.env, ...own.stack.environment() };
  await exactDespite(await sinkWorld({ environment, inSyncOfThree }), disturb);
}

const whileGone = async (names: readonly PartName[], body: () => Promise<void>): Promise<void> => {
  await Promise.all(names.map((name) => own.stack.part(name).kill('SIGKILL')));
  await body();
  await Promise.all(names.map((name) => own.stack.part(name).restart()));
};

describe('three brokers', { timeout: 180_000 }, () => {
  it('disk-full: with one full the sink goes on; every event is one row and announced', () =>
    exactWithReplicas(
      () => 2,
      async ({ world, send }) => {
        await fillDisk(own.stack, 'kafka-2');
        const ended = endedByFullDisk(own.stack, 'kafka-2').then(() => true);
        while (!(await Promise.race([ended, send(40).then(() => false)])));
        await send(40);
        await world.caughtUp(60_000);
        await own.stack.part('kafka-2').restart();
      },
    ));

  it('min-isr-lost: announcements and dead letters that need a broker more wait, not ready, then go out', () =>
    exactWithReplicas(
      (topic) => (/\.dlq$|event-detected$/.test(topic) ? 3 : 2),
      async ({ world, app, send }) => {
        await whileGone(['kafka-3'], async () => {
          await send(40);
          await world.sendRaw('security.events', { key: 'acme|poison', value: Buffer.from('not framed') });
          await untilReadiness(app.addresses.internal, { ready: false, says: ['partitions wait'] });
        });
        await waitFor(async () => (await world.records('security.events.dlq')).length > 0, {
          what: 'the dead letter',
          timeoutMs: 60_000,
        });
      },
    ));

  it('min-isr-lost: two of three brokers gone, and with them the quorum', () =>
    exactWithReplicas(
      () => 2,
      async ({ world, send }) => {
        await send(200);
        await whileGone(['kafka-2', 'kafka-3'], async () => {
          const target = { topic: world.topic('security.events'), partition: 0 };
          const write = world.producer.sendTo(target, [{ key: 'acme|x', value: null }], { timeoutMs: 5_000 });
          await expect(write).rejects.toMatchObject({ code: expect.stringMatching(/^SEC_KAFKA_/) });
        });
      },
    ));
});
