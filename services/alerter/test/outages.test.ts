import type { CorrelationAlertInput } from '@tracehound/event-model';
import { partitionForKey } from '@tracehound/kafka';
import { waitFor } from '@tracehound/testkit';
import { describe, expect, test } from 'vitest';
import { openAlert } from './alert.fixture.ts';
import { inWorld } from './alerter-world.fixture.ts';
import { cuttableLink } from './cuttable-link.fixture.ts';

/** The local profile has four partitions; the key decides. */
function inAnotherPartition(partition: number): CorrelationAlertInput {
  const alert = openAlert();
  const key = Buffer.from(`${alert.organization_id}|${alert.alert_id}`);
  return partitionForKey(key, 4) === partition ? inAnotherPartition(partition) : alert;
}

async function ready(internal: string): Promise<void> {
  await waitFor(async () => (await fetch(`${internal}/health/ready`)).status === 200, { what: 'readiness' });
}

describe('X16 the audit row is late', () => {
  test.concurrent('within the wait: one full notice, and others are not held up', () =>
    inWorld(async (world) => {
      await world.app();
      const late = openAlert();
      const [sent] = await world.send([late]);
      if (!sent) throw new Error('nothing was sent');
      const prompt = inAnotherPartition(sent.position.partition);
      // Another partition's sink is on time: its alert goes out while this one waits.
      await world.sendAudited([prompt]);
      await waitFor(() => world.receiver.arrivals.length >= 1, { what: 'the prompt notice', timeoutMs: 10_000 });
      await world.audit([sent]);
      await world.settled();
      expect(world.receiver.arrivals.map((arrival) => arrival.body.data['thin'])).toEqual([false, false]);
    }));

  test.concurrent('after it: a thin notice, and the details when the row comes', () =>
    inWorld(async (world) => {
      const app = await world.app({ TRACEHOUND_ALERTER_REFETCH_WAIT: '300ms' });
      const alert = openAlert();
      const sent = await world.send([alert]);
      await waitFor(() => world.receiver.arrivals.length === 1, { what: 'the thin notice' });
      const thin = world.receiver.arrivals[0]?.body;
      expect(thin).toMatchObject({
        type: 'alert.opened',
        data: { thin: true, details: 'follow', severity: 'high', alert_id: alert.alert_id, rule: { id: 'rule-1' } },
      });
      for (const secret of [...(alert.event_ids ?? []), alert.group?.[0]?.value ?? '']) {
        expect(JSON.stringify(thin)).not.toContain(secret);
      }
      await world.audit(sent);
      await world.settled();
      expect(world.receiver.arrivals.map((arrival) => arrival.body.type)).toEqual(['alert.opened', 'alert.completed']);
      expect(world.receiver.arrivals[1]?.body.data).toMatchObject({ thin: false, details: { evidence_missing: 0 } });
      expect(world.receiver.ids()).toHaveLength(2);
      const metrics = await (await fetch(`${app.addresses.internal}/metrics`)).text();
      expect(metrics).toContain('alerter_thin_notices_total{cause="sink_late"} 1');
    }));

  test.concurrent('and the row then tells of another organization: an integrity event, no details', () =>
    inWorld(async (world) => {
      await world.app({ TRACEHOUND_ALERTER_REFETCH_WAIT: '200ms' });
      const sent = await world.send([openAlert()]);
      await waitFor(() => world.receiver.arrivals.length === 1, { what: 'the thin notice' });
      await world.audit(sent, { organization: 'globex' });
      await world.settled();
      expect(world.receiver.arrivals).toHaveLength(1);
      const actions = (await world.decoded('security.alert-lifecycle')).map((fact) => fact['action']);
      expect(actions).toEqual(['opened', 'integrity_violation']);
    }));
});

describe('X16 PostgreSQL is away', () => {
  for (const mode of ['cut', 'freeze'] as const) {
    test.concurrent(`${mode} for 5 s: thin notices from memory, details afterwards, nothing lost or doubled`, () =>
      inWorld(async (world) => {
        const link = await cuttableLink(world.databaseUrl);
        try {
          const app = await world.app({ TRACEHOUND_POSTGRES_URL: link.url });
          await ready(app.addresses.internal);
          const before = openAlert();
          await world.sendAudited([before]);
          await world.settled();

          link[mode]();
          const alerts = Array.from({ length: 6 }, () => openAlert());
          // Same entity as the first: told once, also without the store.
          const joined = openAlert({ group: alerts[0]?.group });
          const sent = await world.send(alerts);
          await world.audit(sent);
          await waitFor(() => world.receiver.ids().length === 7, { what: 'six thin notices', timeoutMs: 12_000 });
          const more = await world.sendAudited([joined]);
          expect(more).toHaveLength(1);
          await waitFor(async () => (await fetch(`${app.addresses.internal}/health/ready`)).status === 503, {
            what: 'readiness to say no',
          });
          const report = (await (await fetch(`${app.addresses.internal}/health/ready`)).json()) as {
            checks: { name: string; detail: string }[];
          };
          expect(report.checks.find((check) => check.name === 'postgres')?.detail).toMatch(/PostgreSQL|answer/);
          link.restore();
          await world.settled(30_000);
          await ready(app.addresses.internal);

          const types = (id: string) =>
            world.receiver.arrivals.filter((it) => it.body.data['record_id'] === id).map((it) => it.body.type);
          for (const alert of alerts) expect(types(alert.alert_id)).toEqual(['alert.opened', 'alert.completed']);
          expect(types(joined.alert_id)).toEqual([]);
          expect(world.receiver.ids()).toHaveLength(1 + 2 * alerts.length);
          expect(world.receiver.arrivals).toHaveLength(1 + 2 * alerts.length);
          const facts = await world.decoded('security.deliveries');
          expect(new Set(facts.filter((it) => it['thin'] === true).map((it) => it['delivery_id'])).size).toBe(
            alerts.length,
          );
          const text = await (await fetch(`${app.addresses.internal}/metrics`)).text();
          expect(text).toContain('alerter_thin_notices_total{cause="store_away"} 6');
        } finally {
          await link.close();
        }
      }));
  }

  test.concurrent('a notice delivered while it was away is recorded when it is back, and not sent again', () =>
    inWorld(async (world) => {
      const link = await cuttableLink(world.databaseUrl);
      try {
        await world.app({ TRACEHOUND_POSTGRES_URL: link.url, TRACEHOUND_ALERTER_LEASE: '20s' });
        world.receiver.answer({ status: 500 });
        await world.sendAudited([openAlert()]);
        await waitFor(() => world.receiver.arrivals.length === 1, { what: 'the first attempt', intervalMs: 2 });
        link.cut();
        // Whether the first attempt was recorded before the cut is the race this test is about.
        await new Promise((resolve) => setTimeout(resolve, 600));
        link.restore();
        await world.settled();
        expect(world.receiver.ids()).toHaveLength(1);
        expect(world.receiver.arrivals).toHaveLength(2);
      } finally {
        await link.close();
      }
    }));

  test.concurrent('a start without PostgreSQL waits, says why, and then works', () =>
    inWorld(async (world) => {
      const link = await cuttableLink(world.databaseUrl);
      try {
        link.cut();
        const app = await world.app({ TRACEHOUND_POSTGRES_URL: link.url, TRACEHOUND_ALERTER_MIGRATE: 'true' });
        const response = await waitFor(
          async () => {
            const answer = await fetch(`${app.addresses.internal}/health/ready`);
            const text = await answer.text();
            return answer.status === 503 && text.includes('PostgreSQL') ? text : null;
          },
          { what: 'readiness to name PostgreSQL' },
        );
        expect(response).toContain('cannot be reached');
        link.restore();
        await ready(app.addresses.internal);
        await world.sendAudited([openAlert()]);
        await world.settled();
        expect(world.receiver.arrivals).toHaveLength(1);
      } finally {
        await link.close();
      }
    }));
});
