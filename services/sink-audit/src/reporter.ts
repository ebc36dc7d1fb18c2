import { classifyError } from '@tracehound/event-model';
import type { KafkaAdmin } from '@tracehound/kafka';
import { RetryRequested } from '@tracehound/pipeline';
import type { Logger } from '@tracehound/telemetry';
import type { PartitionState } from './domain/partition-state.ts';
import type { SinkMetrics } from './metrics.ts';
import type { PartitionEvents } from './partition-owner.ts';
import type { StoredBatch } from './pipeline.ts';
import type { Clock } from './ports.ts';

/** Turns what the pipeline and the partition owner say into metrics, logs (once per change) and readiness. */
export function createReporter(deps: {
  readonly logger: Logger;
  readonly metrics: SinkMetrics;
  readonly clock: Pick<Clock, 'now'>;
}) {
  const { logger, metrics, clock } = deps;
  /** Why a partition cannot go on; absent = it can. */
  const troubles = new Map<string, string>();
  const newestStoredAtMs = new Map<string, number>();

  const events: PartitionEvents = {
    acquired(state) {
      const { topicId, topic, partition } = state.id;
      logger.info('partition acquired', { topic, partition, topicId, fence: state.fence, offset: state.nextOffset });
    },
    fenced(state) {
      metrics.fenced.inc({ topic: state.id.topic });
      logger.warn('another sink has taken the partition', { topic: state.id.topic, partition: state.id.partition });
    },
    topicReplaced(topic, partition, previous) {
      metrics.topicsReplaced.inc({ topic });
      logger.error('the topic was deleted and made again: reading the new one from its start', {
        topic,
        partition,
        previousTopicId: previous.topicId,
        previousOffset: previous.nextOffset,
      });
    },
    gapFound(topic, partition, gap) {
      metrics.gaps.inc({ topic });
      metrics.missing.inc(Number(gap.to - gap.from));
      logger.error('records are gone before they were read', { topic, partition, from: gap.from, to: gap.to });
    },
    trouble(topic, partition, error) {
      const key = `${topic}/${partition}`;
      if (error === null) {
        if (troubles.delete(key)) logger.info('partition goes on', { topic, partition });
      } else {
        // A stage that asked for a retry says why in the cause.
        const { code } = classifyError(error instanceof RetryRequested ? error.cause : error);
        if (troubles.get(key) !== code) logger.warn('partition cannot go on', { topic, partition, code, err: error });
        troubles.set(key, code);
      }
      metrics.troubled.set(troubles.size);
    },
  };

  return {
    events,
    stored(state: PartitionState, batch: StoredBatch): void {
      const kind = state.intake.kind;
      metrics.rows.inc({ kind }, batch.rows.length);
      metrics.duplicates.inc({ kind }, batch.duplicates);
      metrics.failures.inc(batch.failures);
      metrics.missing.inc(Number(batch.missing));
      if (batch.gaps > 0) metrics.gaps.inc({ topic: state.id.topic }, batch.gaps);
      const newest = batch.rows.at(-1);
      if (newest) newestStoredAtMs.set(keyOf(state), newest.origin.recordedAtMs);
    },
    transaction(durationMs: number, rows: number): void {
      metrics.transaction.observe(durationMs / 1_000);
      metrics.transactionRows.observe(rows);
    },
    /** Asks the brokers how far each held partition is behind. */
    async measureLag(held: readonly PartitionState[], admin: Pick<KafkaAdmin, 'offsets'>): Promise<void> {
      metrics.held.set(held.length);
      metrics.lagRecords.reset();
      metrics.lagSeconds.reset();
      for (const topic of new Set(held.map((state) => state.source.topic))) {
        const highs = new Map((await admin.offsets(topic)).map(({ partition, high }) => [partition, high]));
        for (const state of held) {
          if (state.source.topic !== topic) continue;
          const labels = { topic: state.id.topic, partition: String(state.id.partition) };
          const waiting = Number((highs.get(state.id.partition) ?? state.nextOffset) - state.nextOffset);
          const newestAtMs = newestStoredAtMs.get(keyOf(state));
          metrics.lagRecords.set(labels, Math.max(0, waiting));
          // The broker's clock may be ahead of ours; a negative lag would hide another partition's in a sum.
          const lagMs = waiting > 0 && newestAtMs ? Math.max(0, clock.now() - newestAtMs) : 0;
          metrics.lagSeconds.set(labels, lagMs / 1_000);
        }
      }
    },
    /** For readiness: throws with the reasons while a partition is stuck. */
    troubleSummary(): string {
      if (troubles.size === 0) return 'all held partitions go on';
      const reasons = [...new Set(troubles.values())].sort().join(', ');
      throw new Error(`${troubles.size} partitions wait: ${reasons}`);
    },
  };
}

function keyOf(state: PartitionState): string {
  return `${state.id.topicId}/${state.id.partition}`;
}
