import { namespaced } from '@tracehound/config';
import { namespacedTopic } from '@tracehound/event-model';
import { openStackWithRights, type StackWithRights, waitFor } from '@tracehound/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openAlert } from './alert.fixture.ts';
import { alerterWorld } from './alerter-world.fixture.ts';

let own: StackWithRights;
beforeAll(async () => {
  own = await openStackWithRights(['kafka', 'registry', 'postgres']);
}, 120_000);
afterAll(() => own?.close());

test('acl-revoked: no right to read alerts, write facts or be in its group: it goes on with them, and all is told once', async () => {
  const world = await alerterWorld({ environment: { ...process.env, ...own.stack.environment() } });
  try {
    const log: string[] = [];
    const app = await world.app({ TRACEHOUND_LOG_LEVEL: 'warn' }, (line) => log.push(line));
    const [alerts, facts] = [
      namespacedTopic(world.namespace, 'security.alerts'),
      namespacedTopic(world.namespace, 'security.deliveries'),
    ];
    /** What readiness says while it is red; empty while it is green. */
    const unreadiness = async (): Promise<string> => {
      const answer = await fetch(`${app.addresses.internal}/health/ready`);
      return answer.ok ? '' : answer.text();
    };
    const sent = [openAlert()];
    await world.sendAudited(sent);
    await world.settled();

    await own.rights.revoke(facts, 'write');
    const failures = async (): Promise<number> => {
      const text = await (await fetch(`${app.addresses.internal}/metrics`)).text();
      return Number(/alerter_background_errors_total\{work="facts"\} (\d+)/.exec(text)?.[1] ?? 0);
    };
    await waitFor(
      async () => {
        const alert = openAlert();
        await world.sendAudited([alert]);
        sent.push(alert);
        return (await failures()) > 0;
      },
      { what: 'facts to be refused', timeoutMs: 30_000, intervalMs: 200 },
    );
    // People are told meanwhile; the facts wait in PostgreSQL.
    await waitFor(() => world.receiver.arrivals.length === sent.length, { what: 'the notices' });
    await own.rights.grant(facts, 'write');
    await world.settled(40_000);

    await own.rights.revoke(alerts, 'read');
    await waitFor(
      async () => {
        const alert = openAlert();
        await world.sendAudited([alert]);
        sent.push(alert);
        return /security\.alerts\/\d+ may not be read \(SEC_KAFKA_UNAUTHORIZED\)/.test(await unreadiness());
      },
      { what: 'readiness to say what cannot be read', timeoutMs: 30_000, intervalMs: 200 },
    );
    expect(log.some((line) => line.includes('readiness changed') && line.includes('may not be read'))).toBe(true);
    await own.rights.grant(alerts, 'read');
    await world.settled(60_000);
    await waitFor(async () => (await unreadiness()) === '', { what: 'the alerter to be ready', timeoutMs: 30_000 });

    const groupId = namespaced(world.namespace, 'alerter');
    await own.rights.revokeGroup(groupId);
    const unread = openAlert();
    await waitFor(async () => (await unreadiness()).includes('the consumer group may not be joined'), {
      what: 'readiness to say that the group is refused',
      timeoutMs: 60_000,
      intervalMs: 200,
    });
    await world.sendAudited([unread]);
    sent.push(unread);
    await own.rights.grantGroup(groupId);
    await world.settled(60_000);
    expect(world.receiver.arrivals.map(({ body }) => body.data['alert_id']).sort()).toEqual(
      sent.map((alert) => alert.alert_id).sort(),
    );
    const told = (await world.decoded('security.deliveries')).map((fact) => fact['delivery_id']);
    expect([...new Set(told)].sort()).toEqual(world.receiver.ids());
  } finally {
    await world.close();
  }
}, 240_000);
