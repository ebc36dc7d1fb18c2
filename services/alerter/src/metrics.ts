import { defineMetrics, type Metrics } from '@tracehound/telemetry';
import type { StoreCounts } from './ports.ts';

/** Seconds from the append of the alert record to the receiver's answer; the last buckets are outages. */
const AGE_BUCKETS_S = [0.05, 0.1, 0.25, 0.5, 1, 2, 5, 15, 60, 300, 3_600];

/** Every metric of the alerter; `alerter_records_consumed_total` and `alerter_verdicts_total` come with the pipeline. */
export function defineAlerterMetrics(metrics: Metrics, counts: () => StoreCounts) {
  return defineMetrics(metrics, {
    deliveries: {
      type: 'counter',
      name: 'alerter_deliveries_total',
      help: 'Attempts that ended, by result and kind of receiver.',
      labels: ['status', 'channel'],
    },
    flushes: {
      type: 'counter',
      name: 'alerter_flush_verdicts_total',
      help: 'Flushes by the stage that decided and its reason (empty for ok).',
      labels: ['stage', 'verdict', 'reason'],
    },
    noticeAge: {
      type: 'histogram',
      name: 'alerter_notice_age_seconds',
      help: 'From the append of the alert record to the answer of the receiver that took the notice.',
      labels: ['channel'],
      buckets: AGE_BUCKETS_S,
    },
    notices: {
      type: 'counter',
      name: 'alerter_notices_total',
      help: 'Notices made, by reason.',
      labels: ['reason'],
    },
    thinNotices: {
      type: 'counter',
      name: 'alerter_thin_notices_total',
      help: 'Notices without details, because the audit row was late (sink_late) or PostgreSQL away (store_away).',
      labels: ['cause'],
    },
    suppressed: {
      type: 'counter',
      name: 'alerter_suppressed_total',
      help: 'Alerts that joined another one within 15 minutes and told nobody.',
    },
    integrity: {
      type: 'counter',
      name: 'alerter_integrity_events_total',
      help: 'Alert records that the audit store does not confirm; not delivered.',
      labels: ['violation'],
    },
    deadLetters: {
      type: 'counter',
      name: 'alerter_dead_letters_total',
      help: 'Records given up, by reason.',
      labels: ['reason'],
    },
    facts: {
      type: 'counter',
      name: 'alerter_facts_total',
      help: 'Records written to security.deliveries and security.alert-lifecycle.',
      labels: ['topic'],
    },
    storeErrors: {
      type: 'counter',
      name: 'alerter_background_errors_total',
      help: 'Failed runs of the background work, which runs again.',
      labels: ['work'],
    },
    pending: {
      type: 'gauge',
      name: 'alerter_outbox_pending',
      help: 'Deliveries not settled yet.',
      collect: () => counts().outboxPending,
    },
    oldest: {
      type: 'gauge',
      name: 'alerter_outbox_oldest_seconds',
      help: 'Age of the oldest delivery not settled yet.',
      collect: () => counts().oldestPendingAgeMs / 1_000,
    },
    dead: {
      type: 'gauge',
      name: 'alerter_outbox_dead',
      help: 'Deliveries given up and not redriven.',
      collect: () => counts().outboxDead,
    },
    inDoubt: {
      type: 'gauge',
      name: 'alerter_outbox_in_doubt',
      help: 'Deliveries held because nobody knows whether they arrived.',
      collect: () => counts().outboxInDoubt,
    },
    parked: {
      type: 'gauge',
      name: 'alerter_parked',
      help: 'Alert records that wait for their audit row.',
      collect: () => counts().parked,
    },
    backlog: {
      type: 'gauge',
      name: 'alerter_backlog',
      help: 'Alert records that wait in memory for PostgreSQL.',
    },
  });
}

export type AlerterMetrics = ReturnType<typeof defineAlerterMetrics>;
