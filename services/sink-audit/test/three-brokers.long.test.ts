import type { PartName } from '@tracehound/stack';
import { endedByFullDisk, fillDisk, type OwnStack, openOwnStack, waitFor } from '@tracehound/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SinkApp } from '../src/app.ts';
import { loginFailure } from './event.fixture.ts';
import { expectOneRowEach } from './exactness.fixture.ts';
import { type SinkWorld, sinkWorld } from './sink-world.fixture.ts';

let own: OwnStack;
beforeAll(async () => {
  own = await openOwnStack({ brokers: 3, kinds: ['kafka', 'registry', 'postgres'] });
}, 180_000);
afterAll(() => own?.close());

type Disturbed = {
  readonly world: SinkWorld;
  readonly app: SinkApp;
  /** Severe events, which are announced once they are stored. */
  send(count: number): Promise<void>;
};

/** Whatever `disturb` does: every event is one row and is announced, and the sink lives on. */
async function exactDespite(
  inSyncOfThree: (topic: string) => number,
  disturb: (disturbed: Disturbed) => Promise<void>,
): Promise<void> {
  const world = await sinkWorld({ environment: { ...process.env, ...own.stack.environment() }, inSyncOfThree });
  try {
    const log: string[] = [];
    const app = await world.app({ TRACEHOUND_LOG_LEVEL: 'warn' }, (line) => log.push(line));
    const sent: string[] = [];
    const send = async (count: number): Promise<void> => {
      const events = Array.from({ length: count }, () => loginFailure({ severity: 'HIGH' }));
      await world.send(events);
      sent.push(...events.map((event) => `acme|${event.envelope.event_id}`));
    };
    await send(40);
    await world.caughtUp();
    await disturb({ world, app, send });
    await send(40);
    await world.caughtUp(60_000);
    await untilReady(app, true);
    await expectOneRowEach(world, sent);
    expect(log.filter((line) => line.includes('"fatal"'))).toEqual([]);
  } finally {
    await world.close();
  }
}

function untilReady(app: SinkApp, isReady: boolean): Promise<unknown> {
  const ready = async () => (await fetch(`${app.addresses.internal}/health/ready`)).ok;
  return waitFor(async () => (await ready()) === isReady, { what: `readiness ${isReady}`, timeoutMs: 60_000 });
}

const whileGone = async (names: readonly PartName[], body: () => Promise<void>): Promise<void> => {
  await Promise.all(names.map((name) => own.stack.part(name).kill('SIGKILL')));
  await body();
  await Promise.all(names.map((name) => own.stack.part(name).restart()));
};

describe('three brokers', { timeout: 180_000 }, () => {
  it('disk-full: with one full the sink goes on; every event is one row and announced', () =>
    exactDespite(
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
    exactDespite(
      (topic) => (/\.dlq$|event-detected$/.test(topic) ? 3 : 2),
      async ({ world, app, send }) => {
        await whileGone(['kafka-3'], async () => {
          await send(40);
          await world.sendRaw('security.events', { key: 'acme|poison', value: Buffer.from('not framed') });
          await untilReady(app, false);
          expect(await (await fetch(`${app.addresses.internal}/health/ready`)).text()).toContain('partitions wait');
        });
        await waitFor(async () => (await world.records('security.events.dlq')).length > 0, {
          what: 'the dead letter',
          timeoutMs: 60_000,
        });
      },
    ));

  it('min-isr-lost: two of three brokers gone, and with them the quorum', () =>
    exactDespite(
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
