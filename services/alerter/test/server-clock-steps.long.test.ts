import { openStackWithClocks, type StackWithClocks, waitFor } from '@tracehound/testkit';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { alertIn, openAlert } from './alert.fixture.ts';
import { type AlerterWorld, inWorld, toldOf } from './alerter-world.fixture.ts';

const HOUR_MS = 3_600_000;

/** Long against the test, short against the hour of a step: nothing may come before its time, nothing an hour late. */
const PATIENT = { TRACEHOUND_ALERTER_REFETCH_WAIT: '60s', TRACEHOUND_ALERTER_LEASE: '60s' };

let servers: StackWithClocks;
beforeAll(async () => {
  servers = await openStackWithClocks(['kafka', 'registry', 'postgres'], ['kafka', 'postgres']);
}, 120_000);
afterAll(() => servers?.close());
beforeEach(() => servers.restore());

const onServers = (work: (world: AlerterWorld) => Promise<void>): Promise<void> =>
  inWorld(work, { environment: { ...process.env, ...servers.stack.environment() } });

const isTold = (world: AlerterWorld, alertId: string, times = 1): Promise<unknown> =>
  waitFor(() => toldOf(world, alertId).length >= times, { what: `notice ${times} of an alert`, timeoutMs: 20_000 });

const untilParked = (world: AlerterWorld): Promise<unknown> =>
  waitFor(async () => (await world.count('SELECT count(*) FROM alerting.parked')) === 1, {
    what: 'the alert without its row to be parked',
  });

/** Steps PostgreSQL's clock and waits until the alerter has asked for the time again: it does so every 2 s. */
async function stepPostgres(world: AlerterWorld, offsetMs: number): Promise<void> {
  servers.step('postgres', offsetMs);
  const shownMs = await world.count('SELECT extract(epoch FROM clock_timestamp()) * 1000');
  expect(Math.abs(shownMs - Date.now() - offsetMs)).toBeLessThan(60_000);
  const stamp = async (): Promise<number> => {
    const probe = alertIn(0); // Nothing waits for its row there.
    await world.sendAudited([probe]);
    await isTold(world, probe.alert_id);
    const { isVerified } = toldOf(world, probe.alert_id)[0] ?? {};
    return isVerified ? 0 : HOUR_MS;
  };
  // A notice is signed by the time that PostgreSQL told last.
  await waitFor(async () => (await stamp()) === Math.abs(offsetMs), { what: 'the alerter to follow the clock' });
}

/** Every alert is told, under one id; its facts are in the log. */
async function expectToldOnce(world: AlerterWorld, alertIds: readonly string[]): Promise<void> {
  for (const alertId of alertIds) {
    const opened = toldOf(world, alertId).filter(({ body }) => body.type === 'alert.opened');
    expect(new Set(opened.map(({ id }) => id)).size, alertId).toBe(1);
  }
  const facts = await world.decoded('security.deliveries');
  const sent = facts.filter((fact) => fact['status'] === 'SENT').map((fact) => fact['delivery_id']);
  expect([...new Set(sent)].sort()).toEqual(world.receiver.ids());
}

describe('the clock of the brokers', { timeout: 120_000 }, () => {
  test('clock-steps: brokers an hour back, right, ahead and right: each alert is told once and in full, at once', () =>
    onServers(async (world) => {
      await world.app(PATIENT);
      const alerts: string[] = [];
      for (const offsetMs of [0, -HOUR_MS, 0, HOUR_MS, 0]) {
        servers.step('kafka', offsetMs);
        const some = Array.from({ length: 5 }, () => openAlert());
        const [first] = await world.sendAudited(some);
        expect(Math.abs((first?.appendTimeMs ?? 0) - Date.now() - offsetMs)).toBeLessThan(60_000);
        alerts.push(...some.map(({ alert_id }) => alert_id));
        await world.settled();
      }
      expect(world.receiver.arrivals.map(({ body }) => body.data['alert_id']).sort()).toEqual([...alerts].sort());
      expect(world.receiver.arrivals.filter(({ body }) => body.data['thin'] === true)).toEqual([]);
      await expectToldOnce(world, alerts);
    }));
});

describe('the clock of PostgreSQL', { timeout: 120_000 }, () => {
  test('clock-steps: PostgreSQL an hour back and right again: retries, parked alerts and new ones go on at their pace', () =>
    onServers(async (world) => {
      await world.app({ ...PATIENT, TRACEHOUND_ALERTER_RETRY_SCHEDULE: '5000,200,200' });
      const ids: string[] = [];
      for (const offsetMs of [-HOUR_MS, 0]) {
        world.receiver.answer({ status: 500 });
        const [refused, waiting, fresh] = [alertIn(0), alertIn(1), alertIn(0)];
        await world.sendAudited([refused]);
        await isTold(world, refused.alert_id);
        const sent = await world.send([waiting]);
        await untilParked(world);
        await stepPostgres(world, offsetMs);
        await world.audit(sent);
        await world.sendAudited([fresh]);
        await world.settled();
        ids.push(refused.alert_id, waiting.alert_id, fresh.alert_id);
        expect(toldOf(world, refused.alert_id)).toHaveLength(2);
        for (const { alert_id } of [waiting, fresh]) {
          expect(toldOf(world, alert_id).map(({ body }) => body.data['thin'])).toEqual([false]);
        }
      }
      await expectToldOnce(world, ids);
    }));

  test('clock-steps: PostgreSQL an hour ahead and right again: retries and thin notices come early, nothing twice or an hour late', () =>
    onServers(async (world) => {
      await world.app({ ...PATIENT, TRACEHOUND_ALERTER_RETRY_SCHEDULE: '50000,50000,200' });
      world.receiver.answer({ status: 500 });
      const [refused, waiting] = [alertIn(0), alertIn(1)];
      await world.sendAudited([refused]);
      await isTold(world, refused.alert_id);
      const sent = await world.send([waiting]);
      await untilParked(world);
      await stepPostgres(world, HOUR_MS);
      await isTold(world, refused.alert_id, 2);
      await isTold(world, waiting.alert_id);
      await world.audit(sent);
      await world.settled();
      expect(toldOf(world, refused.alert_id)).toHaveLength(2);
      const ofWaiting = toldOf(world, waiting.alert_id).map(({ body }) => [body.type, body.data['thin']]);
      expect(ofWaiting).toEqual([
        ['alert.opened', true],
        ['alert.completed', false],
      ]);
      // Back to the right time: what has waited for its pace goes on at it.
      await stepPostgres(world, 0);
      const fresh = alertIn(0);
      await world.sendAudited([fresh]);
      await world.settled();
      await expectToldOnce(world, [refused.alert_id, waiting.alert_id, fresh.alert_id]);
    }));

  test('clock-steps: an alerter that starts after PostgreSQL was ahead tells what is new, and waits for what was due by the old time', () =>
    onServers(async (world) => {
      servers.step('postgres', HOUR_MS);
      const first = await world.app({ ...PATIENT, TRACEHOUND_ALERTER_RETRY_SCHEDULE: '3000,200,200' });
      world.receiver.answer({ status: 500 });
      const refused = alertIn(0);
      await world.sendAudited([refused]);
      await isTold(world, refused.alert_id);
      await first.stop();
      servers.step('postgres', 0);
      await world.app(PATIENT);
      const fresh = alertIn(1);
      await world.sendAudited([fresh]);
      await isTold(world, fresh.alert_id);
      const refusedAtMs = toldOf(world, refused.alert_id)[0]?.atMs ?? 0;
      await waitFor(() => Date.now() > refusedAtMs + 5_000, { what: 'the pause before its next attempt to be over' });
      expect(toldOf(world, refused.alert_id)).toHaveLength(1);
      // That time comes.
      servers.step('postgres', HOUR_MS + 60_000);
      await isTold(world, refused.alert_id, 2);
      servers.step('postgres', 0);
      await world.settled();
      await expectToldOnce(world, [refused.alert_id, fresh.alert_id]);
    }));
});
