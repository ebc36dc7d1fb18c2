import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { alertRecord, T0 } from './alert-record.fixture.ts';
import type { AlertRecord } from './alert-record.ts';
import {
  type AlertState,
  decideSuppression,
  expectMember,
  isWithinWindow,
  SUPPRESSION_CAP_MS,
  SUPPRESSION_WINDOW_MS,
  type SuppressionDecision,
  suppressionKey,
} from './suppression.ts';

const MINUTE_MS = 60_000;

/** The store as plain maps: what the decisions amount to when records are applied one after the other. */
function alerter() {
  const alerts = new Map<string, AlertState>();
  const slots = new Map<string, string>();
  const notices: { alertId: string; reason: string }[] = [];
  function apply(record: AlertRecord): SuppressionDecision {
    const key = suppressionKey(record);
    const ids = [record.alert_id, ...record.supersedes];
    const ownerOf = (id: string) =>
      [...alerts.values()].find((alert) => alert.members.some((member) => member.alertId === id));
    const owner = ids.map(ownerOf).find((alert) => alert !== undefined) ?? null;
    const ownedElsewhere = new Set(ids.filter((id) => ownerOf(id) !== undefined && ownerOf(id) !== owner));
    const holder = alerts.get(slots.get(key) ?? '') ?? null;
    const decision = decideSuppression({ record, owner, holder, ownedElsewhere });
    if (decision.action === 'save') {
      alerts.set(decision.alert.alertId, decision.alert);
      if (decision.holdsSlot) slots.set(key, decision.alert.alertId);
      if (decision.notice) notices.push({ alertId: decision.alert.alertId, reason: decision.notice });
    }
    return decision;
  }
  function close(id: string): void {
    const alert = alerts.get(id);
    if (alert) alerts.set(id, { ...alert, status: 'closed' });
  }
  return { apply, close, alerts, notices };
}

const hit = (id: string, atMinutes: number, changes: Partial<AlertRecord> = {}): AlertRecord =>
  alertRecord({
    alert_id: id,
    first_at: T0 + atMinutes * MINUTE_MS,
    last_at: T0 + atMinutes * MINUTE_MS,
    ...changes,
  });

describe('X9 revisions', () => {
  test('an open pages once; the same record again changes nothing', () => {
    const { apply, notices } = alerter();
    expect(apply(hit('a', 0))).toMatchObject({ action: 'save', isNew: true, notice: 'opened', holdsSlot: true });
    expect(apply(hit('a', 0))).toEqual({ action: 'ignore', reason: 'stale_revision' });
    expect(notices).toHaveLength(1);
  });

  test('the highest revision wins, also after the end', () => {
    const { apply, alerts } = alerter();
    apply(hit('a', 0, { revision: 4 }));
    apply(hit('a', 0, { revision: 11, kind: 'END', count: 9 }));
    expect(apply(hit('a', 0, { revision: 9, kind: 'UPDATE', count: 7 }))).toMatchObject({ reason: 'stale_revision' });
    apply(hit('a', 0, { revision: 14, kind: 'FINAL', count: 12 }));
    expect(alerts.get('a')?.members).toEqual([
      expect.objectContaining({ alertId: 'a', revision: 14, count: 12, hasEnded: true }),
    ]);
  });

  test('a final with an id that was never opened inherits the notice of those it supersedes', () => {
    const { apply, notices, alerts } = alerter();
    apply(hit('a', 0));
    const decision = apply(hit('z', 0, { kind: 'FINAL', revision: 4 * T0 + 2, supersedes: ['a'] }));
    expect(decision).toMatchObject({ action: 'save', isNew: false, notice: null, reason: 'suppressed' });
    expect(notices).toEqual([{ alertId: 'a', reason: 'opened' }]);
    expect(alerts.get('a')?.members.map((member) => [member.alertId, member.supersededBy])).toEqual([
      ['a', 'z'],
      ['z', null],
    ]);
  });

  test('it does so after the 15 minutes and whatever the span', () => {
    const { apply, notices } = alerter();
    apply(hit('a', 0));
    apply(hit('z', 600, { kind: 'FINAL', supersedes: ['a'], revision: 8 }));
    expect(notices).toHaveLength(1);
  });

  test('an open that arrives after the final that supersedes it does not page', () => {
    const { apply, notices } = alerter();
    apply(hit('z', 0, { kind: 'FINAL', supersedes: ['a'] }));
    expect(apply(hit('a', 40))).toMatchObject({ notice: null });
    expect(notices).toEqual([{ alertId: 'z', reason: 'opened' }]);
  });

  test('a final of a rule that never opens pages', () => {
    const { apply } = alerter();
    const absence = hit('a', 0, { kind: 'FINAL', trigger_event_id: null, timer_due: T0 });
    expect(apply(absence)).toMatchObject({ notice: 'opened' });
  });

  test('an end of an id nobody heard of is ignored', () => {
    expect(alerter().apply(hit('a', 0, { kind: 'END' }))).toEqual({ action: 'ignore', reason: 'end_without_alert' });
  });

  test('what a superseded id counted is not counted twice', () => {
    const { apply, alerts } = alerter();
    apply(hit('a', 0, { count: 5 }));
    apply(hit('z', 0, { kind: 'FINAL', count: 9, supersedes: ['a'] }));
    expect(alerts.get('a')?.members.filter((member) => member.supersededBy === null)).toMatchObject([{ count: 9 }]);
  });
});

describe('X16 suppression on alert time (R-205)', () => {
  test('a hit of the same rule and entity within 15 minutes joins; at 15 minutes it pages', () => {
    const { apply, notices } = alerter();
    apply(hit('a', 0));
    expect(apply(hit('b', 14.99))).toMatchObject({ notice: null, reason: 'suppressed', isNew: false });
    expect(apply(hit('c', 14.99 + 15))).toMatchObject({ notice: 'opened', isNew: true });
    expect(notices.map((notice) => notice.alertId)).toEqual(['a', 'c']);
  });

  test.each([
    ['another entity', { group: [{ field: 'trace_id', value: 't2' }] }],
    ['another organization', { organization_id: 'globex' }],
    ['another rule', { rule: { ...alertRecord().rule, rule_id: 'rule-2' } }],
    ['a null entity', { group: [{ field: 'trace_id', value: null }] }],
  ])('%s pages at once', (_name, changes) => {
    const { apply } = alerter();
    apply(hit('a', 0));
    expect(apply(hit('b', 1, changes))).toMatchObject({ notice: 'opened' });
  });

  test('a higher level pages again, once', () => {
    const { apply, notices } = alerter();
    apply(hit('a', 0));
    const worse = { rule: { ...alertRecord().rule, level: 'critical' } };
    apply(hit('b', 1, worse));
    apply(hit('c', 2, worse));
    expect(notices.map((notice) => notice.reason)).toEqual(['opened', 'severity_raised']);
  });

  test('ten times the count last told pages again, and then only at a hundred times', () => {
    const { apply, notices } = alerter();
    apply(hit('a', 0, { count: 2, revision: 1 }));
    for (const [revision, count] of [
      [5, 19],
      [9, 20],
      [13, 199],
      [17, 200],
    ] as const) {
      apply(hit('a', 0, { kind: 'UPDATE', count, revision }));
    }
    expect(notices.map((notice) => notice.reason)).toEqual(['opened', 'count_tenfold', 'count_tenfold']);
  });

  test('a closed alert stays closed until the hit says more', () => {
    const { apply, close, alerts, notices } = alerter();
    apply(hit('a', 0, { count: 2 }));
    close('a');
    apply(hit('b', 1, { count: 2 }));
    expect(alerts.get('a')?.status).toBe('closed');
    apply(hit('c', 2, { count: 30 }));
    expect(alerts.get('a')?.status).toBe('open');
    expect(notices.map((notice) => notice.reason)).toEqual(['opened', 'reopened']);
  });

  test('closed as false positive, attack every 5 minutes for 26 hours: one notice a day, as long as it stays small', () => {
    const { apply, close, notices } = alerter();
    apply(hit('a0', 0, { count: 100 }));
    close('a0');
    for (let minute = 5; minute <= 26 * 60; minute += 5) apply(hit(`a${minute}`, minute, { count: 1 }));
    expect(notices).toEqual([
      { alertId: 'a0', reason: 'opened' },
      { alertId: 'a1440', reason: 'opened' },
      // Of the second day: 1 told, 10 reached.
      { alertId: 'a1440', reason: 'count_tenfold' },
    ]);
  });

  test('a recovered hit of long ago pages without taking the slot from what goes on now', () => {
    const { apply } = alerter();
    apply(hit('a', 600));
    expect(apply(hit('old', 0, { recovered: true }))).toMatchObject({ notice: 'opened', holdsSlot: false });
    expect(apply(hit('b', 601))).toMatchObject({ notice: null, isNew: false });
  });

  test('degraded ranges tell the operator once per rule and reason, whatever the group', () => {
    const { apply } = alerter();
    const range = { kind: 'DEGRADED' as const, reason: 'quota' };
    expect(apply(hit('d1', 0, range))).toMatchObject({ notice: 'degraded' });
    expect(apply(hit('d2', 1, { ...range, group: [{ field: 'x', value: 'y' }] }))).toMatchObject({ notice: null });
    expect(apply(hit('d3', 1, { ...range, reason: 'breaker' }))).toMatchObject({ notice: 'degraded' });
  });

  test('the window is symmetric and capped', () => {
    const alert = { firstAtMs: T0, lastAtMs: T0 + MINUTE_MS };
    const at = (ms: number) => ({ first_at: T0 + ms, last_at: T0 + ms });
    expect(isWithinWindow(alert, at(MINUTE_MS + SUPPRESSION_WINDOW_MS - 1))).toBe(true);
    expect(isWithinWindow(alert, at(MINUTE_MS + SUPPRESSION_WINDOW_MS))).toBe(false);
    expect(isWithinWindow(alert, at(1 - SUPPRESSION_WINDOW_MS))).toBe(true);
    expect(isWithinWindow(alert, at(-SUPPRESSION_WINDOW_MS))).toBe(false);
    const long = { firstAtMs: T0, lastAtMs: T0 + SUPPRESSION_CAP_MS };
    expect(isWithinWindow(long, at(SUPPRESSION_CAP_MS - 1))).toBe(true);
    expect(isWithinWindow(long, at(SUPPRESSION_CAP_MS))).toBe(false);
  });
});

function isUnopenedEnd(decision: SuppressionDecision): boolean {
  return decision.action === 'ignore' && decision.reason === 'end_without_alert';
}

describe('an expected member', () => {
  const opened = (record: AlertRecord): AlertState => {
    const decision = decideSuppression({ record, owner: null, holder: null, ownedElsewhere: new Set() });
    if (decision.action !== 'save') throw new Error(decision.reason);
    return decision.alert;
  };

  test('joins the alert that was silenced for it, whoever holds the slot', () => {
    const silenced = expectMember(opened(hit('a', 0)), hit('b', 1).alert_id);
    const later = opened(hit('c', 600));
    const decision = decideSuppression({
      record: hit('b', 1),
      owner: silenced,
      holder: later,
      ownedElsewhere: new Set(),
    });
    expect(decision).toMatchObject({ action: 'save', isNew: false, holdsSlot: false, notice: null });
  });

  test('is there once, also when the record supersedes it', () => {
    const told = hit('b', 1).alert_id;
    const alert = opened({ ...hit('a', 0), supersedes: [told] });
    expect(expectMember(alert, told).members.filter((member) => member.alertId === told)).toHaveLength(1);
  });
});

describe('properties', () => {
  const ids = ['a', 'b', 'c', 'd'];
  const records = fc.array(
    fc.record({
      id: fc.constantFrom(...ids),
      revision: fc.integer({ min: 0, max: 40 }),
      minute: fc.integer({ min: 0, max: 90 }),
      count: fc.integer({ min: 1, max: 5 }),
      kind: fc.constantFrom('OPEN', 'UPDATE', 'FINAL', 'END' as const),
      supersedes: fc.subarray(ids, { maxLength: 1 }),
    }),
    { maxLength: 25 },
  );

  test('a second pass over any log changes nothing and tells nobody', () => {
    fc.assert(
      fc.property(records, (log) => {
        const { apply, notices, alerts } = alerter();
        const all = log.map(({ id, minute, ...changes }) => hit(id, minute, changes as Partial<AlertRecord>));
        // An end nobody opened leaves no trace, so its second coming may find an alert opened since.
        const kept = all.filter((record) => !isUnopenedEnd(apply(record)));
        const told = notices.length;
        const state = structuredClone([...alerts]);
        for (const record of kept) expect(apply(record)).toMatchObject({ action: 'ignore' });
        expect(notices.length).toBe(told);
        expect([...alerts]).toEqual(state);
      }),
      { numRuns: 300 },
    );
  });

  test('no id ever belongs to two alerts, and revisions never step back', () => {
    fc.assert(
      fc.property(records, (log) => {
        const { apply, alerts, notices } = alerter();
        const highest = new Map<string, number>();
        for (const { id, minute, ...changes } of log) {
          apply(hit(id, minute, changes as Partial<AlertRecord>));
          for (const alert of alerts.values()) {
            for (const member of alert.members) {
              const key = `${alert.alertId}/${member.alertId}`;
              expect(member.revision).toBeGreaterThanOrEqual(highest.get(key) ?? -1);
              highest.set(key, member.revision);
            }
          }
        }
        const members = [...alerts.values()].flatMap((alert) => alert.members.map((member) => member.alertId));
        expect(new Set(members).size).toBe(members.length);
        const opened = notices.filter((notice) => notice.reason === 'opened').map((notice) => notice.alertId);
        expect(new Set(opened).size).toBe(opened.length);
      }),
      { numRuns: 300 },
    );
  });
});
