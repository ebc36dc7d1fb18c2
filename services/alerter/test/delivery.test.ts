import { waitFor } from '@tracehound/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openAlert } from './alert.fixture.ts';
import { type AlerterWorld, alerterWorld, TOKEN, toldOf } from './alerter-world.fixture.ts';

let world: AlerterWorld;
let publicUrl = '';
let internalUrl = '';

beforeAll(async () => {
  world = await alerterWorld();
  const app = await world.app();
  publicUrl = app.addresses.public;
  internalUrl = app.addresses.internal;
  await waitFor(async () => (await fetch(`${internalUrl}/health/ready`)).status === 200, { what: 'readiness' });
});

afterAll(async () => {
  await world?.close();
});

const ANSWERED = 'custom: {owner: ada, reason: ticket 9, expires: 2099-01-31}\n';
const RULES_WITH_EXCEPTIONS = [
  'title: Failed\nid: failed\nlogsource: {product: tracehound}\ndetection: {s: {event_type: a}, condition: s}\n',
  'title: Many\nid: many\ncorrelation: {type: event_count, rules: [failed], group-by: [actor.id], timespan: 1m, condition: {gte: 3}}\n',
  `title: Robots\nfilter: {rules: [failed], s: {actor.id: robot}, condition: not s}\n${ANSWERED}`,
  ...['acme', 'globex'].map(
    (organization) =>
      `title: Of ${organization}\nfilter: {rules: [failed], s: {intake_org|cased: ${organization}, actor.id: a}, condition: not s}\n${ANSWERED}`,
  ),
  `title: Large\noverride: {rule: many, organization: acme, condition: {gte: 9}}\n${ANSWERED}`,
].join('---\n');

const arrivalsOf = (alertId: string) => toldOf(world, alertId);

async function get(path: string, token = TOKEN): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await fetch(`${publicUrl}${path}`, { headers: { authorization: `Bearer ${token}` } });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

describe('one alert, one notice', () => {
  test('an open becomes one signed webhook with the refetched timeline', async () => {
    const alert = openAlert();
    await world.sendAudited([alert]);
    await world.settled();
    const arrivals = arrivalsOf(alert.alert_id);
    expect(arrivals).toHaveLength(1);
    expect(arrivals[0]).toMatchObject({
      isVerified: true,
      body: {
        type: 'alert.opened',
        data: {
          severity: 'high',
          thin: false,
          link: `https://alerts.example/v1/alerts/${alert.alert_id}`,
          details: { count: { value: 4, exact: true }, evidence_missing: 0, timeline: [{ platform: 'rust-cli' }, {}] },
        },
      },
    });
    const delivery = (await world.decoded('security.deliveries')).find((it) => it['alert_id'] === alert.alert_id);
    expect(delivery).toMatchObject({
      status: 'SENT',
      attempt: 1,
      http_status: 204,
      delivery_id: arrivals[0]?.id,
      thin: false,
    });
    const lifecycle = (await world.decoded('security.alert-lifecycle')).filter(
      (it) => it['alert_id'] === alert.alert_id,
    );
    expect(lifecycle).toMatchObject([{ action: 'opened', principal: 'alerter' }]);
  });

  test('copies of a record and its redelivery stay one notice', async () => {
    const alert = openAlert();
    await world.sendAudited([alert, alert, alert]);
    await world.sendAudited([alert]);
    await world.settled();
    expect(arrivalsOf(alert.alert_id)).toHaveLength(1);
  });

  test('updates, the final and the end within 15 minutes are appended, not sent', async () => {
    const alert = openAlert();
    const canonical = openAlert({
      group: alert.group,
      kind: 'FINAL',
      revision: alert.revision + 6,
      count: 9,
      supersedes: [alert.alert_id],
    });
    await world.sendAudited([
      alert,
      { ...alert, kind: 'UPDATE', revision: alert.revision + 5, count: 7 },
      canonical,
      { ...canonical, kind: 'END', revision: canonical.revision + 1, supersedes: [] },
      { ...alert, kind: 'END', revision: canonical.revision + 1, superseded_by: canonical.alert_id },
    ]);
    await world.settled();
    expect(arrivalsOf(alert.alert_id).length + arrivalsOf(canonical.alert_id).length).toBe(1);
    const { body } = await get(`/v1/alerts/${canonical.alert_id}?organization=acme`);
    expect(body['count']).toEqual({ value: 9, exact: true });
    expect(body['members']).toHaveLength(2);
  });

  test('another alert of the same entity joins, one of another entity pages', async () => {
    const alert = openAlert();
    const [joined, other] = [openAlert({ group: alert.group }), openAlert()];
    await world.sendAudited([alert]);
    await world.settled();
    await world.sendAudited([joined, other]);
    await world.settled();
    expect([alert, joined, other].map((it) => arrivalsOf(it.alert_id).length)).toEqual([1, 0, 1]);
  });

  test('concurrent opens of one entity in all partitions race to one notice', async () => {
    const { group } = openAlert();
    // Nine times a count of four is less than the tenfold that would be told again.
    const alerts = Array.from({ length: 9 }, () => openAlert({ group }));
    const sent = await world.sendAudited(alerts);
    expect(new Set(sent.map((it) => it.position.partition)).size).toBeGreaterThan(1);
    await world.settled();
    const ids = alerts.map((alert) => alert.alert_id);
    expect(world.receiver.arrivals.filter((it) => ids.includes(String(it.body.data['alert_id'])))).toHaveLength(1);
    expect(
      await world.count(
        `SELECT count(DISTINCT alert_id) FROM alerting.alert_member WHERE member_id = ANY($1::uuid[])`,
        [ids],
      ),
    ).toBe(1);
  });

  test('a degraded range tells the operator once per rule and reason', async () => {
    const range = { kind: 'DEGRADED' as const, reason: 'group_quota', trigger_event_id: null, event_ids: [] };
    const [first, second] = [openAlert(range), openAlert(range)];
    await world.sendAudited([first, second]);
    await world.settled();
    const arrivals = [...arrivalsOf(first.alert_id), ...arrivalsOf(second.alert_id)];
    expect(arrivals.map((arrival) => arrival.body.type)).toEqual(['alert.degraded']);
  });

  test('bytes that are no alert go to the dead-letter topic, and the next alert is told', async () => {
    await world.sendRaw(Buffer.from('not Avro'));
    const alert = openAlert();
    await world.sendAudited([alert]);
    await world.settled();
    expect(arrivalsOf(alert.alert_id)).toHaveLength(1);
    const letters = await world.decoded('security.alerts.dlq');
    expect(letters).toMatchObject([{ service: 'alerter', stage: 'consume', reason: 'undecodable' }]);
  });
});

describe('receivers that refuse', () => {
  test('500, then 200: sent at the second attempt under the same id', async () => {
    const alert = openAlert();
    world.receiver.answer({ status: 500 });
    await world.sendAudited([alert]);
    await world.settled();
    const arrivals = arrivalsOf(alert.alert_id);
    expect(arrivals).toHaveLength(2);
    expect(new Set(arrivals.map((arrival) => arrival.id)).size).toBe(1);
    const facts = (await world.decoded('security.deliveries')).filter((it) => it['alert_id'] === alert.alert_id);
    expect(facts).toMatchObject([
      { attempt: 1, status: 'FAILED', http_status: 500, error_code: 'SEC_DELIVERY_SERVER_ERROR' },
      { attempt: 2, status: 'SENT' },
    ]);
  });

  test('429 with Retry-After waits as long as asked', async () => {
    const alert = openAlert();
    world.receiver.answer({ status: 429, headers: { 'retry-after': '1' } });
    await world.sendAudited([alert]);
    await world.settled();
    const [first, second] = arrivalsOf(alert.alert_id);
    expect((second?.atMs ?? 0) - (first?.atMs ?? 0)).toBeGreaterThanOrEqual(990);
  });

  test('no answer is a time-out and is tried again', async () => {
    const alert = openAlert();
    world.receiver.answer('hang');
    await world.sendAudited([alert]);
    await world.settled();
    const facts = (await world.decoded('security.deliveries')).filter((it) => it['alert_id'] === alert.alert_id);
    expect(facts).toMatchObject([
      { status: 'FAILED', error_code: 'SEC_DELIVERY_TIMEOUT', http_status: null },
      { status: 'SENT' },
    ]);
  });

  test('404 is dead at once; redrive sends it again under the same id', async () => {
    const alert = openAlert();
    world.receiver.answer({ status: 404 });
    await world.sendAudited([alert]);
    await world.settled();
    const { body } = await get(`/v1/deliveries?organization=acme&alert=${alert.alert_id}`);
    const [dead] = body['deliveries'] as { delivery_id: string; state: string }[];
    expect(dead).toMatchObject({ state: 'dead', attempts: 1, http_status: 404, error_code: 'refused' });
    expect(
      await world.count(
        'SELECT count(*) FROM alerting.alert_delivery_failures WHERE delivery_id = $1 AND redriven_at_ms IS NULL',
        [dead?.delivery_id],
      ),
    ).toBe(1);
    await world.pool.query('SELECT alerting.redrive($1, $2)', [dead?.delivery_id, Date.now()]);
    await world.settled();
    const arrivals = arrivalsOf(alert.alert_id);
    expect(arrivals.map((arrival) => arrival.id)).toEqual([dead?.delivery_id, dead?.delivery_id]);
  });

  test('retries end: the delivery is dead after the schedule', async () => {
    const alert = openAlert();
    world.receiver.answer({ status: 500 }, { status: 502 }, { status: 503 }, { status: 500 });
    await world.sendAudited([alert]);
    await world.settled();
    expect(arrivalsOf(alert.alert_id)).toHaveLength(4);
    const facts = (await world.decoded('security.deliveries')).filter((it) => it['alert_id'] === alert.alert_id);
    expect(facts.map((fact) => fact['status'])).toEqual(['FAILED', 'FAILED', 'FAILED', 'DEAD']);
  });

  test('410 disables the receiver; enabling it and redriving delivers', async () => {
    const [gone, held] = [openAlert(), openAlert()];
    world.receiver.answer({ status: 410 });
    await world.sendAudited([gone]);
    await world.settled();
    await world.sendAudited([held]);
    await world.settled();
    expect([arrivalsOf(gone.alert_id).length, arrivalsOf(held.alert_id).length]).toEqual([1, 0]);
    await world.pool.query(`SELECT alerting.enable_receiver('hook')`);
    await world.pool.query(`SELECT alerting.redrive(delivery_id, $1) FROM alerting.outbox WHERE alert_id = $2`, [
      Date.now(),
      held.alert_id,
    ]);
    await world.settled();
    expect(arrivalsOf(held.alert_id)).toHaveLength(1);
  });
});

describe('X16 integrity', () => {
  test.each([
    ['differing organization', { organization: 'globex' }, 'organization_differs'],
    ['absent row behind the position of the sink', { withRow: false }, 'audit_row_absent'],
  ])('%s: an integrity event, no delivery', async (_name, options, violation) => {
    const alert = openAlert();
    await world.audit(await world.send([alert]), options);
    await world.settled();
    expect(arrivalsOf(alert.alert_id)).toEqual([]);
    const facts = (await world.decoded('security.alert-lifecycle')).filter((it) => it['alert_id'] === alert.alert_id);
    expect(facts).toMatchObject([{ action: 'integrity_violation', organization_id: 'acme' }]);
    expect(JSON.parse(String(facts[0]?.['after']))).toMatchObject({ violation });
    const metrics = await (await fetch(`${internalUrl}/metrics`)).text();
    expect(metrics).toContain(`alerter_integrity_events_total{violation="${violation}"} 1`);
  });

  test('other bytes than those consumed: an integrity event', async () => {
    const alert = openAlert();
    const sent = await world.send([alert]);
    await world.audit(sent.map((it) => ({ ...it, value: Buffer.concat([it.value, Buffer.from('x')]) })));
    await world.settled();
    expect(arrivalsOf(alert.alert_id)).toEqual([]);
    const facts = (await world.decoded('security.alert-lifecycle')).filter((it) => it['alert_id'] === alert.alert_id);
    expect(JSON.parse(String(facts[0]?.['after']))).toMatchObject({ violation: 'content_differs' });
  });
});

describe('interface', () => {
  test('lists and shows alerts with timeline, deliveries and the time after acknowledgement', async () => {
    const alert = openAlert();
    await world.sendAudited([alert]);
    await world.settled();
    const { body: list } = await get('/v1/alerts?organization=acme&limit=5');
    expect((list['alerts'] as { alert_id: string }[])[0]?.alert_id).toBe(alert.alert_id);
    const { status, body } = await get(`/v1/alerts/${alert.alert_id}`);
    expect(status).toBe(200);
    expect(body).toMatchObject({
      severity: 'high',
      status: 'open',
      evidence_missing: 0,
      rule: { author: 'Tracehound' },
    });
    expect((body['timeline'] as { event_id: string }[]).map((entry) => entry.event_id)).toEqual(alert.event_ids);
    const [delivery] = body['deliveries'] as { state: string; after_ack_ms: number }[];
    expect(delivery).toMatchObject({ state: 'sent', attempts: 1 });
    expect(delivery?.after_ack_ms).toBeGreaterThan(0);
  });

  test('R-212 shows the filters and overrides behind the rule, of the organization of the alert alone', async () => {
    const rulesetId = await world.publishRules(RULES_WITH_EXCEPTIONS);
    const alert = openAlert();
    const rule = { ...alert.rule, rule_id: 'many', ruleset_id: rulesetId };
    const gone = openAlert();
    await world.sendAudited([{ ...alert, rule }, gone]);
    await world.settled();
    const { body } = await get(`/v1/alerts/${alert.alert_id}`);
    const answered = { owner: 'ada', reason: 'ticket 9', expires: '2099-01-31T00:00:00.000Z' };
    expect(body['exceptions']).toMatchObject([
      { kind: 'filter', title: 'Robots', organization: null, rules: ['failed'], ...answered },
      { kind: 'filter', title: 'Of acme', organization: 'acme', rules: ['failed'], ...answered },
      { kind: 'override', title: 'Large', organization: 'acme', rules: ['many'], ...answered },
    ]);
    // Nobody published the set of the other one: that is not to say that nothing was left out.
    expect((await get(`/v1/alerts/${gone.alert_id}`)).body['exceptions']).toBeNull();
  });

  test('an alert of another organization does not exist for a token', async () => {
    const alert = openAlert({ organization_id: 'globex' });
    await world.sendAudited([alert]);
    await world.settled();
    expect(await get(`/v1/alerts/${alert.alert_id}`)).toMatchObject({ status: 404, body: { code: 'alert_not_found' } });
    expect((await get('/v1/alerts?organization=globex')).status).toBe(403);
    expect((await get('/v1/deliveries?organization=globex')).status).toBe(403);
    const { body } = await get('/v1/alerts?limit=500');
    expect((body['alerts'] as { organization_id: string }[]).every((it) => it.organization_id === 'acme')).toBe(true);
  });

  test.each([
    ['/v1/alerts', 'nonsense', 401, 'token_required'],
    ['/v1/alerts?limit=0', TOKEN, 400, 'invalid_parameter'],
    ['/v1/alerts?limit=501', TOKEN, 400, 'invalid_parameter'],
    ['/v1/deliveries?alert=xyz', TOKEN, 400, 'invalid_parameter'],
    ['/v1/alerts?organization=acme&organization=globex', TOKEN, 400, 'invalid_parameter'],
    ['/v1/alerts/not-an-id', TOKEN, 404, 'alert_not_found'],
    ['/v1/nothing', TOKEN, 404, 'not_found'],
  ])('%s is answered %s %i as a problem document', async (path, token, status, code) => {
    const response = await fetch(`${publicUrl}${path}`, { headers: { authorization: `Bearer ${token}` } });
    expect(response.status).toBe(status);
    expect(response.headers.get('content-type')).toBe('application/problem+json');
    expect(await response.json()).toMatchObject({ code });
  });
});

test('consumed equals the sum of verdicts', async () => {
  await world.settled();
  const text = await (await fetch(`${internalUrl}/metrics`)).text();
  const sum = (pattern: RegExp): number =>
    [...text.matchAll(pattern)].reduce((total, match) => total + Number(match[1]), 0);
  const consumed = sum(/^alerter_records_consumed_total (\d+)$/gm);
  expect(consumed).toBeGreaterThan(20);
  expect(sum(/^alerter_verdicts_total\{[^}]*verdict="(?:ok|drop|deadLetter|redirect)"[^}]*\} (\d+)$/gm)).toBe(consumed);
});
