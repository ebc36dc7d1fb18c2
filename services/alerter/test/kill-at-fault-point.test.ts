import { describe, expect, test } from 'vitest';
import { openAlert } from './alert.fixture.ts';
import { alerterWorld, ended } from './alerter-world.fixture.ts';

/** Pass at which the process dies: in the middle of the work. */
const POINTS: readonly (readonly [string, number])[] = [
  ['n:after-refetch', 2],
  ['n:after-store', 2],
  ['n:before-deliver', 3],
  ['n:after-deliver', 3],
  ['n:after-record', 3],
  ['n:before-commit-offset', 2],
];

describe('kill -9 at a fault point', () => {
  for (const [point, pass] of POINTS) {
    test.concurrent(`${point}: every notice arrives, under the ids of an undisturbed run`, async () => {
      const world = await alerterWorld();
      try {
        const alerts = Array.from({ length: 8 }, () => openAlert());
        const joined = alerts.slice(0, 3).map((alert) => openAlert({ group: alert.group }));
        const updates = alerts
          .slice(0, 4)
          .map((alert) => ({ ...alert, kind: 'UPDATE' as const, revision: alert.revision + 5 }));
        await world.sendAudited(alerts);
        // A busy machine must not turn slow audit rows into thin notices here.
        const patient = { TRACEHOUND_ALERTER_REFETCH_WAIT: '30s' };
        const child = world.spawn({ ...patient, TRACEHOUND_FAULT: `${point}:${pass}` });
        // More comes while it works, so that it meets its fault point in several batches.
        const fed = world.sendAudited([...updates, ...joined]);
        expect(await ended(child)).toBe('SIGKILL');
        await fed;
        await world.app(patient);
        await world.settled();

        const told = world.receiver.arrivals.map((arrival) => String(arrival.body.data['alert_id']));
        // One of an alert and the one that joined it opens, whichever partition came first.
        const entities = alerts.map((alert, index) => new Set([alert.alert_id, joined[index]?.alert_id]));
        for (const entity of entities) expect(new Set(told.filter((id) => entity.has(id))).size).toBe(1);
        // A notice may arrive twice, then under one id: the receiver can tell.
        expect(world.receiver.ids()).toHaveLength(alerts.length);
        expect(world.receiver.arrivals.every((arrival) => arrival.isVerified)).toBe(true);
        const facts = await world.decoded('security.deliveries');
        const sent = facts.filter((fact) => fact['status'] === 'SENT').map((fact) => fact['delivery_id']);
        expect([...new Set(sent)].sort()).toEqual(world.receiver.ids());
        expect(
          await world.count(`SELECT count(*) FROM alerting.delivery_attempt WHERE status = 'SENDING'`),
          'no attempt is left without an end',
        ).toBe(0);
      } finally {
        await world.close();
      }
    });
  }
});
