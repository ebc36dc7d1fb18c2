import type { AlertRule, AlertState } from '@tracehound/alerting';
import { expect, test } from 'vitest';
import { alertRecord } from '../../test/alert-record.fixture.ts';
import { alertView } from './alert-view.ts';

const RULE = alertRecord().rule;

function viewOf(rule: AlertRule): ReturnType<typeof alertView> {
  const record = { ...alertRecord(), rule };
  // What the view reads of a state; the rest is the suppression's own.
  const state = { alertId: record.alert_id, organization: 'acme', members: [] } as unknown as AlertState;
  return alertView({ state, record, firedAtMs: 2 }, { evidence: [], deliveries: [], linkBase: 'https://a' });
}

test('the view has the triage guide and the author of the rule', () => {
  const triage = { meaning: 'A guess.', false_positives: ['An old phone.'], next_steps: ['Ask.'] };
  expect(viewOf({ ...RULE, triage }).triage).toEqual(triage);
  expect(viewOf({ ...RULE, triage }).rule.author).toBe('Tracehound');
  expect(viewOf({ ...RULE, triage: null }).triage).toBeNull();
});

test('a record stored before rules had guides has none', () => {
  const { triage: _, ...stored } = RULE;
  expect(viewOf(stored as AlertRule).triage).toBeNull();
});
