import { STEPPED_CLOCK_ENVIRONMENT, stepClock, waitFor } from '@tracehound/testkit';
import { describe, expect, test } from 'vitest';
import { alertIn } from './alert.fixture.ts';
import { type AlerterWorld, inWorld, toldOf } from './alerter-world.fixture.ts';

/** Long against the test, short against the hour of a step: nothing may come before its time, nothing an hour late. */
const PATIENT = {
  ...STEPPED_CLOCK_ENVIRONMENT,
  TRACEHOUND_ALERTER_REFETCH_WAIT: '60s',
  TRACEHOUND_ALERTER_LEASE: '60s',
};

const parked = (world: AlerterWorld) => world.count('SELECT count(*) FROM alerting.parked');

describe.concurrent('clock-steps', () => {
  test('an hour back: retries, parked alerts and new ones go on at their pace', () =>
    inWorld(async (world) => {
      const alerter = world.spawn({ ...PATIENT, TRACEHOUND_ALERTER_RETRY_SCHEDULE: '3000,200,200' });
      world.receiver.answer({ status: 500 });
      const refused = alertIn(0);
      await world.sendAudited([refused]);
      const waiting = alertIn(1);
      const sent = await world.send([waiting]);
      await waitFor(() => toldOf(world, refused.alert_id).length === 1, {
        what: 'the first attempt',
        timeoutMs: 40_000,
      });
      await waitFor(async () => (await parked(world)) === 1, { what: 'the alert without its row to be parked' });
      await stepClock(alerter);
      await world.audit(sent);
      const fresh = alertIn(0);
      await world.sendAudited([fresh]);
      await world.settled();
      expect(toldOf(world, refused.alert_id)).toHaveLength(2);
      for (const alert of [waiting, fresh]) {
        const [told, ...more] = toldOf(world, alert.alert_id);
        expect(told?.body.data['thin']).toBe(false);
        expect(more).toEqual([]);
      }
      // A receiver refuses what was not signed within five minutes of its own time.
      expect(world.receiver.arrivals.every(({ isVerified }) => isVerified)).toBe(true);
      expect(alerter.exitCode).toBeNull();
    }));

  test('an hour ahead: no retry, no thin notice and no end of a lease before its time', () =>
    inWorld(async (world) => {
      const alerter = world.spawn({ ...PATIENT, TRACEHOUND_ALERTER_RETRY_SCHEDULE: '8000,200,200' });
      const first = alertIn(0);
      await world.sendAudited([first]);
      await waitFor(() => toldOf(world, first.alert_id).length === 1, { what: 'the first notice', timeoutMs: 40_000 });
      await stepClock(alerter);
      world.receiver.answer({ status: 500 }, 'hang');
      const refused = alertIn(0);
      await world.sendAudited([refused]);
      await waitFor(() => toldOf(world, refused.alert_id).length === 1, { what: 'the refused attempt' });
      const waiting = alertIn(1);
      const sent = await world.send([waiting]);
      await waitFor(async () => (await parked(world)) === 1, { what: 'the alert without its row to be parked' });
      const hung = alertIn(0);
      await world.sendAudited([hung]);
      await waitFor(() => toldOf(world, hung.alert_id).length === 1, { what: 'the attempt that hangs' });
      await stepClock(alerter);
      const fresh = alertIn(0);
      await world.sendAudited([fresh]);
      await waitFor(() => toldOf(world, fresh.alert_id).length === 1, { what: 'the notice after the step' });
      // The alerter has looked at all that is due when it took the fresh one.
      for (const alert of [refused, hung]) expect(toldOf(world, alert.alert_id)).toHaveLength(1);
      expect(toldOf(world, waiting.alert_id)).toEqual([]);
      await world.audit(sent);
      await world.settled(40_000);
      for (const alert of [refused, hung]) expect(toldOf(world, alert.alert_id)).toHaveLength(2);
      expect(toldOf(world, waiting.alert_id).map(({ body }) => body.data['thin'])).toEqual([false]);
      const inDoubt = await world.count(`SELECT count(*) FROM alerting.delivery_attempt WHERE status = 'IN_DOUBT'`);
      expect(inDoubt, 'no attempt under way was taken for one of a dead owner').toBe(0);
      expect(world.receiver.arrivals.every(({ isVerified }) => isVerified)).toBe(true);
      expect(alerter.exitCode).toBeNull();
    }));

  test('a start with a clock an hour wrong takes over what another process has left', () =>
    inWorld(async (world) => {
      const patient = { ...PATIENT, TRACEHOUND_ALERTER_LEASE: '2s', TRACEHOUND_ALERTER_RETRY_SCHEDULE: '1000,200,200' };
      const ahead = world.spawn({ ...patient, STEPPED_CLOCK_AHEAD: 'true' });
      world.receiver.answer({ status: 500 }, 'hang');
      const refused = alertIn(0);
      await world.sendAudited([refused]);
      await waitFor(() => toldOf(world, refused.alert_id).length === 1, {
        what: 'the first attempt',
        timeoutMs: 40_000,
      });
      const hung = alertIn(0);
      await world.sendAudited([hung]);
      await waitFor(() => toldOf(world, hung.alert_id).length === 1, { what: 'the attempt that hangs' });
      ahead.kill('SIGKILL');
      await world.app({ TRACEHOUND_ALERTER_REFETCH_WAIT: '60s' });
      await world.settled(40_000);
      for (const alert of [refused, hung]) expect(toldOf(world, alert.alert_id).length).toBeGreaterThanOrEqual(2);
      expect(world.receiver.ids()).toHaveLength(2);
    }));
});
