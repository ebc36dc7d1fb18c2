import { randomUUID } from 'node:crypto';
import { waitFor } from '@tracehound/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { INTAKE_TOPICS } from '../src/domain/intake-topics.ts';
import {
  alertDelivery,
  alertLifecycle,
  correlationAlert,
  detectionFinding,
  lateEvent,
  loginFailure,
  ruleActivation,
} from './event.fixture.ts';
import { expectRowsEqualLog } from './exactness.fixture.ts';
import { logins, type SinkWorld, sinkWorld } from './sink-world.fixture.ts';

let world: SinkWorld;
let topicIds: ReadonlyMap<string, string>;

beforeAll(async () => {
  world = await sinkWorld();
  topicIds = await world.admin.topicIds(INTAKE_TOPICS.map((name) => world.topic(name)));
  await world.app();
});

afterAll(() => world.close());

describe('rows equal log', () => {
  it('stores every record of every intake topic once, with its very bytes and coordinates', async () => {
    const srcTopicId = topicIds.get(world.topic('security.events')) as string; // Asked for above.
    await world.send(logins(500));
    const { encode } = world.codec;
    await world.sendRaw('security.late', {
      key: 'acme|e',
      value: encode('tracehound.pipeline.v1.LateEvent', lateEvent(srcTopicId)),
    });
    await world.sendRaw('security.findings', {
      key: 'acme|f',
      value: encode('tracehound.pipeline.v1.DetectionFinding', detectionFinding(srcTopicId)),
    });
    await world.sendRaw('security.alerts', {
      key: 'acme|a',
      value: encode('tracehound.pipeline.v1.CorrelationAlert', correlationAlert()),
    });
    await world.sendRaw('security.alert-lifecycle', {
      key: 'acme|a',
      value: encode('tracehound.pipeline.v1.AlertLifecycle', alertLifecycle()),
    });
    await world.sendRaw('security.deliveries', {
      key: 'acme|a',
      value: encode('tracehound.pipeline.v1.AlertDelivery', alertDelivery()),
    });
    await world.sendRaw('detection.activations', {
      key: 'f',
      value: encode('tracehound.pipeline.v1.RuleActivation', ruleActivation()),
    });
    await world.sendRaw('security.events', { key: null, value: null, headers: { th_marker: 'idle' } });
    await world.caughtUp();

    expect(await expectRowsEqualLog(world)).toBe(506);
    const changes = await world.database.admin.query(
      `SELECT organization_id, action, actor_id, attrs->>'reason' AS reason FROM audit.event WHERE kind = 'rules'`,
    );
    expect(changes.rows).toEqual([
      { organization_id: 'platform', action: 'activated', actor_id: 'ada', reason: 'ticket 7' },
    ]);
  });

  it('E3 names every offset: rows + failures + markers + missing = next offset', async () => {
    const { rows } = await world.database.admin.query<{ next: bigint; named: bigint; markers: bigint; stored: bigint }>(
      `SELECT sum(next_offset)::bigint AS next, sum(rows_total + failures_total + markers_total + missing_total)::bigint AS named,
         sum(markers_total)::bigint AS markers, (SELECT count(*) FROM audit.event) AS stored FROM audit.sink_offset`,
    );
    expect(rows[0]).toEqual({ next: 507n, named: 507n, markers: 1n, stored: 506n });
  });

  it('projects an event into columns and keeps the rest in attrs', async () => {
    const event = loginFailure({ severity: 'HIGH', session_id: 's-9' }, { browser: 'nul \u0000 here', half: '\ud800' });
    await world.send([event]);
    await world.caughtUp();
    const { rows } = await world.database.admin.query('SELECT * FROM audit.get_event($1, $2)', [
      'acme',
      event.envelope.event_id,
    ]);
    expect(rows).toHaveLength(1);
    expect(rows[0]).toMatchObject({
      event_type: 'auth.login.failure',
      severity: 'HIGH',
      outcome: 'failure',
      actor_id: 'u-1',
      session_id: 's-9',
      ip_hash: 'c0ffee',
      topic: 'security.events',
      attrs: { actor_name: 'Ada', payload: { attempted_user: 'root', browser: 'nul ␀ here', half: '\ufffd' } },
    });
    const other = await world.database.admin.query('SELECT * FROM audit.get_event($1, $2)', [
      'other',
      event.envelope.event_id,
    ]);
    expect(other.rows).toEqual([]);
  });

  it('answers the contract of the alerter: position, alert record, absence', async () => {
    const [alert] = await world.records('security.alerts');
    const topicId = topicIds.get(world.topic('security.alerts'));
    const at = [topicId, alert?.partition, alert?.offset];
    const { rows: found } = await world.database.admin.query('SELECT * FROM audit.alert_record($1, $2, $3)', at);
    expect(found).toMatchObject([
      {
        kind: 'alert',
        alert_id: '01234567-89ab-cdef-0123-456789abcdef',
        revision: 4000n,
        action: 'OPEN',
        organization_id: 'acme',
        severity: 4,
        attrs: { rule: { title: 'Many failed logins' }, count: 5 },
        payload: alert?.value,
      },
    ]);
    const { rows: position } = await world.database.admin.query(
      'SELECT audit.sink_position($1, $2) AS known, audit.sink_position($3, 0) AS unknown',
      [topicId, alert?.partition, randomUUID()],
    );
    expect(position).toEqual([{ known: (alert?.offset ?? 0n) + 1n, unknown: null }]);
    const { rows: absent } = await world.database.admin.query('SELECT * FROM audit.alert_record($1, 0, 999)', [
      topicId,
    ]);
    expect(absent).toEqual([]);
  });

  it('X6 flags a copy and R-401 announces an event once, with exactly four keys', async () => {
    const critical = loginFailure({ severity: 'CRITICAL' });
    await world.send([critical]);
    await world.send([critical, loginFailure({ severity: 'LOW' })]);
    await world.caughtUp();
    const { rows } = await world.database.admin.query<{
      kafka_offset: bigint;
      duplicate_of: bigint | null;
      is_duplicate: boolean;
    }>('SELECT kafka_offset, duplicate_of, is_duplicate FROM audit.event WHERE event_id = $1 ORDER BY kafka_offset', [
      critical.envelope.event_id,
    ]);
    expect(rows).toHaveLength(2);
    expect(rows[1]).toMatchObject({ is_duplicate: true, duplicate_of: rows[0]?.kafka_offset });
    // Publishing follows the commit; one HIGH event of an earlier test, this one, and nothing below HIGH.
    const announced = await waitFor(
      async () => {
        const records = await world.records('security.event-detected');
        return records.length >= 2 && records;
      },
      { what: 'both announcements' },
    );
    const ours = announced.filter((record) => record.key?.toString() === `acme|${critical.envelope.event_id}`);
    expect(ours).toHaveLength(1);
    const decoded = await world.codec.decode(ours[0]?.value as Buffer); // Length 1 above.
    expect(decoded.value).toEqual({
      event_id: critical.envelope.event_id,
      organization_id: 'acme',
      event_type: 'auth.login.failure',
      severity: 'CRITICAL',
    });
    expect(announced).toHaveLength(2);
  });
});
