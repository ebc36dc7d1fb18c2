import { describe, expect, test } from 'vitest';
import { alertRecord, T0 } from './alert-record.fixture.ts';
import type { AlertRule } from './alert-record.ts';
import { deliveryId, noticeId, stableId } from './delivery-id.ts';
import { countLabel, explainRule, inWords } from './explain-rule.ts';
import { buildNotice, evidenceIds, latenessNote, type Notice } from './notice.ts';
import { type RoutingTable, routeNotice } from './routing.ts';
import { severityOf } from './severity.ts';
import { acknowledgedAt, buildTimeline, type EvidenceEvent, shortenTimeline } from './timeline.ts';
import { renderWebhookBody } from './webhook-body.ts';

function evidence(id: string, atMs: number, changes: Partial<EvidenceEvent> = {}): EvidenceEvent {
  return {
    event_id: id,
    at: atMs,
    platform: 'rust-cli',
    service: 'auth',
    event_type: 'auth.mfa.failed',
    outcome: 'FAILURE',
    actor: { type: 'user', id: 'u-1' },
    trace_id: 't1',
    span_id: 's1',
    organization_id: 'acme',
    received_at: atMs + 5,
    ...changes,
  };
}

const EVENTS = [evidence('event-2', T0 + 1_000, { platform: 'python' }), evidence('event-1', T0)];

function notice(options: { thin?: boolean } = {}) {
  return buildNotice({
    record: alertRecord(),
    reason: 'opened',
    alertId: 'a'.repeat(32),
    firedAtMs: T0 + 2_000,
    linkBase: 'https://alerts.example/',
    evidence: options.thin ? null : { events: EVENTS, count: { value: 4, exact: false } },
  });
}

describe('buildNotice', () => {
  test('tells severity, title, why, author, level, tags, group, count and the timeline by platform', () => {
    expect(notice()).toMatchObject({
      severity: 'high',
      title: 'Failed verifications, then a success',
      rule: { id: 'rule-1', author: 'Tracehound', level: 'high', tags: ['attack.t1110'] },
      link: `https://alerts.example/v1/alerts/${'a'.repeat(32)}`,
      details: {
        why: 'All steps of the pattern in order within 10 minutes for trace_id = t1.',
        count: { value: 4, exact: false },
        timeline: [
          { event_id: 'event-1', platform: 'rust-cli' },
          { event_id: 'event-2', platform: 'python' },
        ],
        evidence_missing: 0,
        acknowledged_at: T0 + 1_005,
      },
    });
  });

  test('a thin notice holds severity, rule, alert id and link, nothing of the events, and promises details', () => {
    const thin = notice({ thin: true });
    expect(thin).toMatchObject({ thin: true, details: null, severity: 'high', alert_id: 'a'.repeat(32) });
    const body = renderWebhookBody(thin, { nowMs: T0 });
    expect(JSON.parse(body)).toMatchObject({ type: 'alert.opened', data: { details: 'follow', thin: true } });
    for (const word of ['event-1', 't1"', 'u-1', 'trace_id']) expect(body).not.toContain(word);
  });

  test('thin notice and completion have their own ids, each stable', () => {
    expect(notice().notice_id).toBe(noticeId(alertRecord(), { thin: false }));
    expect(notice({ thin: true }).notice_id).toBe(noticeId(alertRecord(), { thin: true }));
    expect(notice().notice_id).not.toBe(notice({ thin: true }).notice_id);
    expect(deliveryId('n', 'r')).toMatch(/^msg_[0-9a-f]{32}$/);
    expect(stableId('ab', 'c')).not.toBe(stableId('a', 'bc'));
  });

  test('only allowlisted fields of an event get through', () => {
    const event = { ...evidence('event-1', T0), actor: { type: 'user', id: 'u-1', name: 'Jane Doe' }, ip: '192.0.2.7' };
    expect(JSON.stringify(buildTimeline([event]))).not.toMatch(/Jane|192\.0\.2\.7|received_at/);
  });

  test('evidence that the audit store lacks is counted', () => {
    const made = buildNotice({
      ...{ record: alertRecord(), reason: 'opened', alertId: 'x', firedAtMs: T0, linkBase: '' },
      evidence: { events: [EVENTS[0] as EvidenceEvent], count: { value: 1, exact: true } },
    });
    expect(made.details?.evidence_missing).toBe(1);
    expect(evidenceIds({ event_ids: ['a', 'b'], trigger_event_id: 'b', sample_event_ids: ['c', 'a'] })).toEqual([
      'a',
      'b',
      'c',
    ]);
  });

  test('details carry the triage guide of the rule, and nothing when it has none', () => {
    const triage = { meaning: 'A guess.', false_positives: ['An old phone.'], next_steps: ['Ask.', 'Lock.'] };
    const notice = (rule: Partial<AlertRule>): Notice =>
      buildNotice({
        ...{ record: alertRecord({ rule: { ...alertRecord().rule, ...rule } }), reason: 'opened', alertId: 'x' },
        ...{ firedAtMs: T0, linkBase: '', evidence: { events: [], count: { value: 1, exact: true } } },
      });
    expect(notice({ triage }).details?.triage).toEqual(triage);
    const body = JSON.parse(renderWebhookBody(notice({ triage }), { nowMs: T0 })) as { data: Notice };
    expect(body.data.details?.triage).toEqual(triage);
    expect(notice({ triage: null }).details).not.toHaveProperty('triage');
  });

  test('a record stored before rules had guides gives the notice it gave then', () => {
    const { triage: _, ...rule } = alertRecord().rule;
    const notice = buildNotice({
      ...{ record: alertRecord({ rule: rule as AlertRule }), reason: 'opened', alertId: 'x' },
      ...{ firedAtMs: T0, linkBase: '', evidence: { events: [], count: { value: 1, exact: true } } },
    });
    expect(notice.details).not.toHaveProperty('triage');
  });

  test('a body with the most of everything stays under 20 kB', () => {
    const ids = Array.from(
      { length: 400 },
      (_, index) => `${String(index).padStart(8, '0')}-0000-7000-8000-000000000000`,
    );
    const texts = Array.from({ length: 10 }, (_, index) => `${index}${'x'.repeat(499)}`);
    const triage = { meaning: 'x'.repeat(500), false_positives: texts, next_steps: texts };
    const record = alertRecord({
      event_ids: ids,
      rule: { ...alertRecord().rule, description: 'x'.repeat(9_000), tags: ids, triage },
    });
    const events = ids.map((id, index) => evidence(id, T0 + index));
    const body = renderWebhookBody(
      buildNotice({
        record,
        reason: 'opened',
        alertId: 'x',
        firedAtMs: T0,
        linkBase: 'https://a',
        evidence: { events, count: { value: 400, exact: true } },
      }),
      { nowMs: T0 },
    );
    expect(Buffer.byteLength(body)).toBeLessThan(20_000);
  });
});

test('a notice older than five minutes says so, also at its second attempt only', () => {
  expect(latenessNote(T0, T0 + 299_999)).toBeNull();
  expect(latenessNote(T0, T0 + 3_600_000)).toEqual({
    late_ms: 3_600_000,
    note: 'This notice is late: the alert fired 1 hour ago.',
  });
  expect(JSON.parse(renderWebhookBody(notice(), { nowMs: T0 + 302_000 })).data.lateness.note).toContain('5 minutes');
  expect(JSON.parse(renderWebhookBody(notice(), { nowMs: T0 + 3_000 })).data.lateness).toBeUndefined();
});

describe('timeline', () => {
  test('is in total order and holds a duplicate once', () => {
    const same = [evidence('b', T0), evidence('a', T0), evidence('b', T0)];
    expect(buildTimeline(same).map((entry) => entry.event_id)).toEqual(['a', 'b']);
  });

  test('is cut in the middle', () => {
    const entries = buildTimeline(Array.from({ length: 25 }, (_, index) => evidence(`e${index}`, T0 + index)));
    expect(shortenTimeline(entries, 4).map((entry) => entry.event_id)).toEqual(['e0', 'e1', 'e23', 'e24']);
    expect(shortenTimeline(entries.slice(0, 4), 4)).toHaveLength(4);
  });

  test('delivery is measured from the last acceptance', () => {
    expect(acknowledgedAt(EVENTS)).toBe(T0 + 1_005);
    expect(acknowledgedAt([])).toBeNull();
  });
});

describe('explainRule', () => {
  const rule = (type: string) => ({ ...alertRecord().rule, type });
  test.each([
    ['event_count', { count_exact: true }, '4 matching events within 10 minutes for trace_id = t1.'],
    ['event_count', { count_exact: false }, 'At least 4 matching events within 10 minutes for trace_id = t1.'],
    ['value_count', {}, '4 matching events with different values within 10 minutes for trace_id = t1.'],
    ['temporal', {}, 'All parts of the pattern within 10 minutes, in any order for trace_id = t1.'],
    ['value_sum', { group: [] }, '4 matching events (value sum) within 10 minutes.'],
    [
      'event_count',
      { timer_due: T0 },
      'Decided 10 minutes after the first event, when the window had closed for trace_id = t1.',
    ],
    [
      'event_count',
      { kind: 'DEGRADED' as const, reason: 'group_quota' },
      'Detection was limited for this rule: group quota.',
    ],
    [
      'event_count',
      { group: [{ field: 'actor.id', value: null }] },
      '4 matching events within 10 minutes for actor.id = (none).',
    ],
  ])('%s %j', (type, changes, expected) => {
    expect(explainRule({ ...alertRecord(changes), rule: rule(type) })).toBe(expected);
  });

  test('durations and counts', () => {
    expect([1_000, 90_000, 3_600_000, 86_400_000, 1_500].map(inWords)).toEqual([
      '1 second',
      '90 seconds',
      '1 hour',
      '1 day',
      '1500 ms',
    ]);
    expect([countLabel({ value: 3, exact: true }), countLabel({ value: 3, exact: false })]).toEqual(['3', '>= 3']);
    expect([severityOf('HIGH'), severityOf('weird')]).toEqual(['high', 'medium']);
  });
});

describe('routeNotice', () => {
  const table: RoutingTable = {
    defaults: [
      { receivers: ['ops', 'console'], severityMin: 'informational', audience: 'alert' },
      { receivers: ['pager', 'ops'], severityMin: 'high', audience: 'alert' },
      { receivers: ['admin'], severityMin: 'informational', audience: 'operator' },
    ],
    organizations: { globex: [{ receivers: ['globex'], severityMin: 'low', audience: 'alert' }] },
  };
  test.each([
    ['acme', 'high', 'opened', ['console', 'ops', 'pager']],
    ['acme', 'low', 'opened', ['console', 'ops']],
    ['acme', 'high', 'degraded', ['admin']],
    ['globex', 'critical', 'opened', ['globex']],
    ['globex', 'informational', 'opened', []],
    ['globex', 'critical', 'degraded', []],
    ['__proto__', 'low', 'opened', ['console', 'ops']],
  ] as const)('%s %s %s', (organization, severity, reason, expected) => {
    expect(routeNotice(table, { organization, severity, reason })).toEqual(expected);
  });
});
