import type { KafkaAdmin, PartitionHandler, TopicPartition } from '@tracehound/kafka';
import type { LifecycleLogger } from '@tracehound/lifecycle';
import type { CorrelatorMetrics } from './metrics.ts';
import type { Clock } from './ports.ts';

/** One question per topic; often enough for a graph, seldom enough for any broker. */
const MEASURED_EVERY_MS = 5_000;

type Position = TopicPartition & {
  /** Next offset to process; null while only "from the earliest on" is known. */
  readonly next: bigint | null;
  /** Append time of the newest record that is done, ms UTC; null before the first. */
  readonly newestAtMs: number | null;
};

export type LagWatchDeps = {
  readonly stage: 'a' | 'b';
  readonly admin: Pick<KafkaAdmin, 'offsets'>;
  readonly metrics: Pick<CorrelatorMetrics, 'lagRecords' | 'lagSeconds'>;
  readonly clock: Pick<Clock, 'nowMs'>;
};

/** How far the held partitions of a stage are behind their logs, as the brokers say: also where a partition stands still. */
export class LagWatch {
  private readonly deps: LagWatchDeps;
  private readonly positions = new Map<string, Position>();

  constructor(deps: LagWatchDeps) {
    this.deps = deps;
  }

  /** The handler, with its progress noted. */
  over(handler: PartitionHandler): PartitionHandler {
    return {
      assigned: async (partition) => {
        const start = await handler.assigned(partition);
        this.note(partition, { next: start.kind === 'offset' ? start.offset : null, newestAtMs: null });
        return start;
      },
      batch: async (batch) => {
        await handler.batch(batch);
        const last = batch.records.at(-1);
        if (last !== undefined) this.note(batch, { next: last.offset + 1n, newestAtMs: last.appendTimeMs });
      },
      revoked: async (partition) => {
        this.positions.delete(keyOf(partition));
        const labels = this.labelsOf(partition);
        this.deps.metrics.lagRecords.remove(labels);
        this.deps.metrics.lagSeconds.remove(labels);
        await handler.revoked(partition);
      },
    };
  }

  /** Asks the brokers where the logs end. Rejects when they do not answer; the gauges stay as they were then. */
  async measure(): Promise<void> {
    const { admin, metrics, clock } = this.deps;
    const ranges = new Map<string, { readonly low: bigint; readonly high: bigint }>();
    for (const topic of new Set([...this.positions.values()].map((position) => position.topic))) {
      for (const { partition, low, high } of await admin.offsets(topic))
        ranges.set(keyOf({ topic, partition }), { low, high });
    }
    for (const [key, { topic, partition, next, newestAtMs }] of this.positions) {
      const range = ranges.get(key);
      if (range === undefined) continue;
      const waiting = Math.max(0, Number(range.high - (next ?? range.low)));
      const labels = this.labelsOf({ topic, partition });
      metrics.lagRecords.set(labels, waiting);
      metrics.lagSeconds.set(labels, waiting > 0 && newestAtMs !== null ? (clock.nowMs() - newestAtMs) / 1_000 : 0);
    }
  }

  private labelsOf({ topic, partition }: TopicPartition) {
    return { stage: this.deps.stage, topic, partition: String(partition) };
  }

  private note({ topic, partition }: TopicPartition, at: Pick<Position, 'next' | 'newestAtMs'>): void {
    this.positions.set(keyOf({ topic, partition }), { topic, partition, ...at });
  }
}

/** Measures from time to time; a broker that does not answer is no more than noted. */
export function reportLag(watch: LagWatch, logger: LifecycleLogger): NodeJS.Timeout {
  const timer = setInterval(() => {
    watch.measure().catch((error: unknown) => logger.warn('the lag could not be measured', { err: error }));
  }, MEASURED_EVERY_MS);
  return timer.unref();
}

function keyOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}
