import type { KafkaBatch, KafkaConsumer, PartitionHandler, StartPosition, TopicPartition } from '@tracehound/kafka';
import type { LifecycleLogger } from '@tracehound/lifecycle';
import type { PartitionOwner } from './domain/partition-owner.ts';
import { type CorrelatePath, flushAndEmit } from './pipeline.ts';
import type { Clock } from './ports.ts';
import type { FlushPolicy } from './stages/flush.ts';

export type CorrelatorDeps = {
  readonly open: (partition: TopicPartition) => {
    readonly owner: PartitionOwner;
    readonly path: CorrelatePath;
    readonly policy: FlushPolicy;
  };
  /** First kept and next offset of a matches partition. */
  readonly range: (partition: TopicPartition) => Promise<{ readonly low: bigint; readonly high: bigint }>;
  readonly clock: Pick<Clock, 'steadyMs'>;
  readonly onLostRange: 'stop' | 'rebuild';
  readonly logger: LifecycleLogger;
  readonly onState?: (partition: TopicPartition, problem: string | null) => void;
  readonly onRevoked?: (partition: TopicPartition) => void;
};

type Lane = {
  readonly partition: TopicPartition;
  readonly owner: PartitionOwner;
  readonly path: CorrelatePath;
  readonly policy: FlushPolicy;
  /** Tail of the calls on this partition: batch, timer and take-over never overlap. */
  tail: Promise<unknown>;
  /** Counts take-overs: a batch that waited through one was fetched for another position. */
  takes: number;
  /** When a flush on the timer lost the partition; null while all is well or a batch will see to it. */
  lostAtMs: number | null;
  /** Where the rebuild ends; null when none is running. */
  rebuild: { readonly from: bigint; readonly until: bigint } | null;
};

/** How far a partition is with re-reading its log. */
export type RebuildProgress = { readonly partition: number; readonly done: bigint; readonly total: bigint };

/**
 * How long after a loss the timer takes a partition again that the consumer still holds. A batch takes it at once; the
 * timer is for a log that has fallen silent. A member that has not yet heard that it lost the partition may so fence
 * the new owner once a second until it hears of it: that costs a reload, never a result.
 */
const RETAKE_MS = 1_000;

/** Stage B over a consumer: one owner per assigned matches partition. */
export class Correlator implements PartitionHandler {
  private readonly deps: CorrelatorDeps;
  private readonly lanes = new Map<number, Lane>();
  private consumer: Pick<KafkaConsumer, 'seek'> | null = null;

  constructor(deps: CorrelatorDeps) {
    this.deps = deps;
  }

  bind(consumer: Pick<KafkaConsumer, 'seek'>): void {
    this.consumer = consumer;
  }

  async assigned(partition: TopicPartition): Promise<StartPosition> {
    const lane = this.laneOf(partition);
    return this.watched(lane, () => exclusive(lane, () => this.take(lane)));
  }

  async batch(batch: KafkaBatch): Promise<void> {
    const lane = this.laneOf(batch);
    const { takes } = lane;
    await this.watched(lane, () =>
      exclusive(lane, async () => {
        // The timer took the partition anew while this batch waited, and has set the position.
        if (takes !== lane.takes) return;
        if (!lane.owner.isHeld) {
          await this.retake(lane);
          return;
        }
        await lane.path(batch.records);
        const { next } = lane.owner;
        if (lane.rebuild !== null && next !== null && next >= lane.rebuild.until) {
          lane.rebuild = null;
          this.deps.logger.info('rebuild done', { partition: lane.partition.partition, offset: next });
        }
      }),
    );
  }

  async revoked(partition: TopicPartition): Promise<void> {
    const lane = this.lanes.get(partition.partition);
    if (lane === undefined) return;
    await exclusive(lane, async () => {
      try {
        if (lane.owner.isHeld) {
          await lane.owner.flush();
          await lane.owner.emit();
          await lane.owner.commit();
        }
      } catch (error) {
        this.deps.logger.warn('a revoked partition could not be flushed', {
          partition: partition.partition,
          err: error,
        });
      } finally {
        lane.owner.release();
        this.lanes.delete(partition.partition);
        this.deps.onRevoked?.(partition);
      }
    });
  }

  /** Flushes what has waited long enough on idle partitions. Call it about every 10 to 50 ms. */
  flushIdle(): void {
    for (const lane of this.lanes.values()) {
      if (!this.isLookDue(lane)) continue;
      exclusive(lane, async () => {
        // Whatever ran before this turn may have done it already.
        if (!this.isLookDue(lane)) return;
        if (lane.owner.isHeld) await flushAndEmit(lane.owner, lane.policy);
        else await this.retake(lane);
      }).catch((error: unknown) => {
        if (!lane.owner.isHeld) lane.lostAtMs = this.deps.clock.steadyMs();
        this.deps.logger.warn('a flush on the timer failed', { partition: lane.partition.partition, err: error });
      });
    }
  }

  private isLookDue(lane: Lane): boolean {
    if (lane.owner.isHeld) return lane.policy.isDueAtEnd(lane.owner);
    return lane.lostAtMs !== null && this.deps.clock.steadyMs() - lane.lostAtMs >= RETAKE_MS;
  }

  /** A new epoch first, then the state, then the position (X8). */
  private async retake(lane: Lane): Promise<void> {
    const start = await this.take(lane);
    const offset = start.kind === 'offset' ? start.offset : (await this.deps.range(lane.partition)).low;
    this.consumer?.seek(lane.partition, offset);
    // Counted only now: a batch that came while this ran still has the old position.
    lane.takes++;
  }

  /** Partitions that are being rebuilt from the log (X12). */
  rebuilding(): readonly RebuildProgress[] {
    const found: RebuildProgress[] = [];
    for (const lane of this.lanes.values()) {
      if (lane.rebuild === null) continue;
      const { from, until } = lane.rebuild;
      const next = lane.owner.next ?? from;
      found.push({ partition: lane.partition.partition, done: next - from, total: until - from });
    }
    return found;
  }

  owners(): readonly PartitionOwner[] {
    return [...this.lanes.values()].map((lane) => lane.owner);
  }

  private async take(lane: Lane): Promise<StartPosition> {
    const { owner, partition } = lane;
    lane.lostAtMs = null;
    let next = await owner.acquire();
    const range = await this.deps.range(partition);
    if (next !== null && (next < range.low || next > range.high)) {
      this.deps.logger.error('the offset of the state is not in the log', {
        partition: partition.partition,
        offset: next,
        low: range.low,
        high: range.high,
        choice: this.deps.onLostRange,
      });
      // With `stop` the consumer finds the offset out of range and ends the service.
      if (this.deps.onLostRange === 'rebuild') next = await owner.acquire({ forget: true });
    }
    // Muted until the base: whatever lies below it was alerted on before (X12).
    const until = owner.mutedBelow < range.high ? owner.mutedBelow : range.high;
    const from = next ?? range.low;
    lane.rebuild = from < until ? { from, until } : null;
    if (lane.rebuild !== null) this.deps.logger.warn('rebuild begins', { partition: partition.partition, from, until });
    return next === null ? { kind: 'earliest' } : { kind: 'offset', offset: next };
  }

  private laneOf({ topic, partition }: TopicPartition): Lane {
    const known = this.lanes.get(partition);
    if (known !== undefined) return known;
    const at = { topic, partition };
    const lane: Lane = {
      partition: at,
      ...this.deps.open(at),
      tail: Promise.resolve(),
      takes: 0,
      lostAtMs: null,
      rebuild: null,
    };
    this.lanes.set(partition, lane);
    return lane;
  }

  private async watched<T>(lane: Lane, work: () => Promise<T>): Promise<T> {
    try {
      const done = await work();
      this.deps.onState?.(lane.partition, null);
      return done;
    } catch (error) {
      this.deps.onState?.(lane.partition, error instanceof Error ? error.message : 'a batch failed');
      throw error;
    }
  }
}

function exclusive<T>(lane: Lane, work: () => Promise<T>): Promise<T> {
  const run = lane.tail.then(work);
  lane.tail = run.catch(() => undefined);
  return run;
}
