import type { PartName } from '@tracehound/stack';
import { endedByFullDisk, fillDisk, type OwnStack, openOwnStack, untilReadiness, waitFor } from '@tracehound/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AlerterApp } from '../src/app.ts';
import { openAlert } from './alert.fixture.ts';
import { type AlerterWorld, alerterWorld, type SentAlert } from './alerter-world.fixture.ts';

let own: OwnStack;
beforeAll(async () => {
  own = await openOwnStack({ brokers: 3, kinds: ['kafka', 'registry', 'postgres'] });
}, 180_000);
afterAll(() => own?.close());

type Disturbed = {
  readonly world: AlerterWorld;
  readonly app: AlerterApp;
  /** Alerts without their rows: the alerter parks them. */
  send(count: number): Promise<readonly SentAlert[]>;
};

/** Whatever `disturb` does: every alert is told once, every fact is on its topic, and the alerter lives on. */
async function exactDespite(
  inSyncOfThree: (topic: string) => number,
  disturb: (disturbed: Disturbed) => Promise<void>,
): Promise<void> {
  const world = await alerterWorld({ environment: { ...process.env, ...own.stack.environment() }, inSyncOfThree });
  try {
    const log: string[] = [];
    const app = await world.app(
      // No thin notices: what a test parks waits for its row.
      { TRACEHOUND_LOG_LEVEL: 'warn', TRACEHOUND_ALERTER_REFETCH_WAIT: '60s' },
      (line) => log.push(line),
    );
    const sent: string[] = [];
    const send = async (count: number): Promise<readonly SentAlert[]> => {
      const alerts = await world.send(Array.from({ length: count }, () => openAlert()));
      sent.push(...alerts.map(({ alert }) => alert.alert_id));
      return alerts;
    };
    await world.audit(await send(3));
    await world.settled();
    await disturb({ world, app, send });
    await world.audit(await send(3));
    await world.settled(60_000);
    expect(world.receiver.arrivals.map(({ body }) => body.data['alert_id']).sort()).toEqual(sent.sort());
    const told = (await world.decoded('security.deliveries')).map((fact) => fact['delivery_id']);
    expect([...new Set(told)].sort()).toEqual(world.receiver.ids());
    // What it asks is asked once a second.
    await untilReadiness(app.addresses.internal, { ready: true, timeoutMs: 30_000 });
    expect(log.filter((line) => line.includes('"fatal"'))).toEqual([]);
  } finally {
    await world.close();
  }
}

/** Tells people of five alerts while no fact can be written: facts wait in PostgreSQL. */
async function toldWithoutFacts({ world, app, send }: Disturbed, gone: readonly PartName[]): Promise<void> {
  const waiting = await send(5);
  const parked = () => world.count('SELECT count(*) FROM alerting.parked');
  await waitFor(async () => (await parked()) === waiting.length, { what: 'the alerts to be parked' });
  const before = world.receiver.arrivals.length;
  await Promise.all(gone.map((name) => own.stack.part(name).kill('SIGKILL')));
  await world.audit(waiting);
  await waitFor(() => world.receiver.arrivals.length === before + waiting.length, {
    what: 'the notices',
    timeoutMs: 30_000,
  });
  await waitFor(
    async () => {
      const text = await (await fetch(`${app.addresses.internal}/metrics`)).text();
      return Number(/alerter_background_errors_total\{work="facts"\} (\d+)/.exec(text)?.[1] ?? 0) > 0;
    },
    { what: 'facts to be refused', timeoutMs: 60_000 },
  );
}

describe('three brokers', { timeout: 180_000 }, () => {
  it('disk-full: with one full the alerter goes on; every alert is told once', () =>
    exactDespite(
      () => 2,
      async ({ world, send }) => {
        await fillDisk(own.stack, 'kafka-2');
        const ended = endedByFullDisk(own.stack, 'kafka-2').then(() => true);
        const sendSome = async () => {
          await world.audit(await send(10));
          return false;
        };
        while (!(await Promise.race([ended, sendSome()])));
        await world.audit(await send(3));
        await world.settled(60_000);
        await own.stack.part('kafka-2').restart();
      },
    ));

  it('min-isr-lost: people are told while facts and dead letters need a broker more; then all are written', () =>
    exactDespite(
      (topic) => (/security\.(alerts|findings)$/.test(topic) ? 2 : 3),
      async (disturbed) => {
        await toldWithoutFacts(disturbed, ['kafka-3']);
        const { world } = disturbed;
        await world.sendRaw(Buffer.from('no alert'));
        await own.stack.part('kafka-3').restart();
        await waitFor(async () => (await world.decoded('security.alerts.dlq')).length > 0, {
          what: 'the dead letter',
          timeoutMs: 60_000,
        });
      },
    ));

  it('min-isr-lost: people are told with two of three brokers gone; then all facts are written', () =>
    exactDespite(
      () => 2,
      async (disturbed) => {
        const gone: PartName[] = ['kafka-2', 'kafka-3'];
        await toldWithoutFacts(disturbed, gone);
        await Promise.all(gone.map((name) => own.stack.part(name).restart()));
      },
    ));
});
