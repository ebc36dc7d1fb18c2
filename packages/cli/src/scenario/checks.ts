import type { CorrelationAlert } from '@tracehound/event-model';
import { finalAlerts } from './alert-log.ts';
import type { PlayResult } from './play.ts';
import type { ExpectedAlert } from './scenario.ts';

export type Check = { readonly name: string; readonly ok: boolean; readonly detail: string };

const check = (name: string, ok: boolean, detail: string): Check => ({ name, ok, detail });

/** Does this alert say what was expected? Rule by id or title; only the fields given are compared. */
export function meets(
  alert: CorrelationAlert,
  wanted: ExpectedAlert,
  originalId: (eventId: string) => string,
): boolean {
  if (alert.rule.rule_id !== wanted.rule && alert.rule.title !== wanted.rule) return false;
  if (wanted.organization !== undefined && alert.organization_id !== wanted.organization) return false;
  for (const [field, value] of Object.entries(wanted.group ?? {})) {
    if (!alert.group.some((entry) => entry.field === field && entry.value === value)) return false;
  }
  if (wanted.event_ids !== undefined) {
    const have = alert.event_ids.map(originalId).sort().join();
    if (have !== [...wanted.event_ids].sort().join()) return false;
  }
  return true;
}

/** The finals of the engine against those computed from the audit rows by SQL, one by one (E2). */
function oracleCheck(play: PlayResult): Check[] {
  if (play.oracle === null) return [];
  const text = (alerts: readonly object[]): Set<string> => new Set(alerts.map((alert) => JSON.stringify(alert)));
  const want = text(play.oracle);
  const have = text(finalAlerts(play.log));
  const missing = [...want].filter((alert) => !have.has(alert));
  const extra = [...have].filter((alert) => !want.has(alert));
  const detail = `${have.size} alerts, ${want.size} by SQL, ${missing.length} missing, ${extra.length} extra`;
  const first = missing[0] ?? extra[0];
  return [
    check(
      'alerts equal those SQL computes from the audit rows',
      want.size > 0 && missing.length === 0 && extra.length === 0,
      first === undefined ? detail : `${detail}; first difference: ${first}`,
    ),
  ];
}

/** Everything `--once` demands of a play. Every check can fail; each names what it saw. */
export function checkPlay(play: PlayResult): Check[] {
  const { scenario, sent, alerts, audit, notices, deliveries } = play;
  const { acknowledged, refused } = sent;
  const wanted = scenario.expected.alerts;
  const unmet = wanted.filter((entry) => !alerts.some((alert) => meets(alert, entry, play.originalId)));
  const wrong = scenario.expected.none.filter((entry) => alerts.some((alert) => meets(alert, entry, play.originalId)));
  const surplus =
    wanted.length === 0 ? [] : alerts.filter((alert) => !wanted.some((entry) => meets(alert, entry, play.originalId)));
  const named = (entries: readonly ExpectedAlert[]): string =>
    entries.map((entry) => entry.why ?? entry.rule).join('; ');
  const undelivered = deliveries.filter((delivery) => delivery.state !== 'sent');
  const unnoticed = alerts.filter((alert) => !play.noticedAlerts.has(alert.alert_id));
  return [
    check(
      'every event is acknowledged',
      refused.length === 0 && acknowledged.length === scenario.events.length,
      `${acknowledged.length} of ${scenario.events.length}${refused[0] ? `; first refusal: ${refused[0].code} ${refused[0].detail}` : ''}`,
    ),
    check(
      'every event has an audit row',
      audit.events === play.distinctEvents,
      `${audit.events} rows for ${play.distinctEvents} events`,
    ),
    ...(wanted.length === 0
      ? []
      : [
          check(
            'every expected alert is raised',
            unmet.length === 0,
            unmet.length === 0 ? `${wanted.length} expected` : `missing: ${named(unmet)}`,
          ),
          check(
            'no other alert is raised',
            surplus.length === 0,
            surplus.length === 0
              ? `${alerts.length} raised`
              : surplus
                  .map((alert) => `${alert.rule.title} [${alert.group.map((entry) => entry.value).join(', ')}]`)
                  .join('; '),
          ),
        ]),
    ...(scenario.expected.none.length === 0
      ? []
      : [
          check(
            'what must not alert does not',
            wrong.length === 0,
            wrong.length === 0 ? `${scenario.expected.none.length} counter-examples silent` : `raised: ${named(wrong)}`,
          ),
        ]),
    ...oracleCheck(play),
    check(
      'every alert revision has an audit row',
      audit.alertRevisions === play.alertRevisions,
      `${audit.alertRevisions} rows for ${play.alertRevisions} revisions`,
    ),
    check(
      'every alert reached its receiver',
      unnoticed.length === 0 && undelivered.length === 0 && (alerts.length === 0 || deliveries.length > 0),
      `${alerts.length} alerts, ${deliveries.length} notices, ${undelivered.length} not sent, ${unnoticed.length} alerts without notice`,
    ),
    check(
      'every notice is signed and arrives once',
      notices.every((notice) => notice.verified) &&
        new Set(notices.map((notice) => notice.id)).size === play.webhookDeliveries,
      `${notices.length} received, ${notices.filter((notice) => notice.verified).length} verified, ${play.webhookDeliveries} sent`,
    ),
    check('nothing went to a dead-letter topic', play.deadLetters === 0, `${play.deadLetters} records`),
  ];
}
