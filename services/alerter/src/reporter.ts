import type { Outcome, VerdictCounter } from '@tracehound/pipeline';
import type { Logger } from '@tracehound/telemetry';
import type { IntegrityViolation } from './domain/facts.ts';
import { isStoreAway } from './errors.ts';
import type { AlerterMetrics } from './metrics.ts';
import type { ClaimedDelivery, DirectDelivery } from './ports.ts';
import type { DeliveredNotice } from './stages/deliver.ts';
import type { GroupedNotice } from './stages/group.ts';
import type { RefetchedAlert } from './stages/refetch.ts';

const STATUS = { sent: 'SENT', failed: 'FAILED', dead: 'DEAD' } as const;

/** What happened, as metrics and as log lines; the only place that knows both. A state is logged once per change. */
export function createReporter(deps: {
  readonly logger: Logger;
  readonly metrics: AlerterMetrics;
  readonly now: () => number;
}) {
  const { logger, metrics } = deps;
  const failing = new Set<string>();

  return {
    /** Verdicts of the intake, with the suppressed ones counted apart. */
    counting(counter: VerdictCounter): VerdictCounter {
      return {
        consumed: (count) => counter.consumed(count),
        verdict(stage, kind, reason, count) {
          if (reason === 'suppressed') metrics.suppressed.inc(count);
          counter.verdict(stage, kind, reason, count);
        },
      };
    },

    stored(notices: readonly GroupedNotice[]): void {
      for (const { notice } of notices) {
        metrics.notices.inc({ reason: notice.reason });
        if (notice.thin) metrics.thinNotices.inc({ cause: 'sink_late' });
      }
    },

    sentDirectly({ delivery, notice, endedAtMs }: DirectDelivery): void {
      metrics.thinNotices.inc({ cause: 'store_away' });
      metrics.deliveries.inc({ status: 'SENT', channel: delivery.channel });
      metrics.noticeAge.observe({ channel: delivery.channel }, Math.max(0, endedAtMs - notice.fired_at) / 1_000);
    },

    flushed({ stage, verdict }: Outcome<ClaimedDelivery, DeliveredNotice>): void {
      metrics.flushes.inc({ stage, verdict: verdict.kind, reason: 'reason' in verdict ? verdict.reason : '' });
      if (verdict.kind !== 'ok') return;
      const { outcome, channel, notice, receiver, deliveryId } = verdict.value;
      metrics.deliveries.inc({ status: STATUS[outcome.state], channel });
      if (outcome.state === 'sent') {
        metrics.noticeAge.observe({ channel }, Math.max(0, outcome.endedAtMs - notice.fired_at) / 1_000);
      }
      if (outcome.state === 'dead') {
        logger.error('a delivery was given up', { receiver, deliveryId, code: outcome.errorCode });
      }
    },

    violated(violation: IntegrityViolation, alert: RefetchedAlert): void {
      metrics.integrity.inc({ violation });
      const { topic, partition, offset } = alert.position;
      logger.error('an alert is not what the audit store holds', { violation, topic, partition, offset });
    },

    dead: (reason: string): void => metrics.deadLetters.inc({ reason }),
    published: (topic: string, count: number): void => metrics.facts.inc({ topic }, count),

    /** For loops: counts every failure, logs the first one of each kind until the work is named again as failing. */
    failed(work: string): (error: unknown) => void {
      return (error) => {
        metrics.storeErrors.inc({ work });
        const state = `${work}/${isStoreAway(error) ? 'away' : 'error'}`;
        if (failing.has(state) && isStoreAway(error)) return;
        failing.add(state);
        logger.warn('background work failed and will be repeated', { work, err: error });
        setTimeout(() => failing.delete(state), LOG_AGAIN_MS).unref();
      };
    },
  };
}

/** The same trouble is logged again after this. */
const LOG_AGAIN_MS = 30_000;
