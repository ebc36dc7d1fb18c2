import type { PartitionOwner } from '../domain/partition-owner.ts';
import type { Clock } from '../ports.ts';

export type FlushPolicyOptions = {
  readonly clock: Pick<Clock, 'steadyMs'>;
  readonly sleep: (ms: number) => Promise<void>;
  readonly flushMs: number;
  readonly flushGapMs: number;
  readonly dirtyGroupsMax: number;
  readonly commitMs: number;
  /** Whether the process has no time to spare. */
  readonly isSaturated: () => boolean;
};

/**
 * Pause after a flush, as a multiple of what it took. With no time to spare flushes take a tenth of it, and coalesce what comes
 * meanwhile; otherwise alerts need not wait so long, and half is the bound: what a flush takes is mostly the wait for other
 * processes then, which a longer pause would only double.
 */
const GAP_PER_FLUSH = 1;
const GAP_PER_FLUSH_SATURATED = 9;

/**
 * Larger flushes while there is no time to spare: a group that changes several times between two of them is written once. Nobody
 * waits for its alert then but for the backlog.
 */
const DIRTY_GROUPS_SATURATED = 4;

/**
 * When to flush: pacing of I/O only. What is in a flush is decided by the log; a different pace gives the same
 * records in the same order (E1).
 */
export class FlushPolicy {
  private readonly options: FlushPolicyOptions;
  private flushedAtMs = Number.NEGATIVE_INFINITY;
  private begunAtMs = Number.NEGATIVE_INFINITY;
  /** Least pause to the next flush; grows with what flushes cost. */
  private gapMs: number;
  private committedAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: FlushPolicyOptions) {
    this.options = options;
    this.gapMs = options.flushGapMs;
  }

  /** In the middle of a batch: the bound on unsaved groups is reached, or alerts have waited for the least gap. */
  isDue(owner: PartitionOwner): boolean {
    if (this.isFull(owner)) return true;
    return owner.freshCount > 0 && this.sinceFlushMs() >= this.gapMs;
  }

  /**
   * At the end of a batch alerts leave at once, those of an earlier flush too whose acknowledgement did not come. Under load the
   * next batch comes before the gap is over: then they leave with it, or with the timer.
   */
  isDueAtEnd(owner: PartitionOwner): boolean {
    const sinceMs = this.sinceFlushMs();
    if (owner.pendingCount > 0) return true;
    return (owner.freshCount > 0 && sinceMs >= this.gapMs) || (owner.needsFlush && sinceMs >= this.options.flushMs);
  }

  /** Waits out the least gap to the flush before. */
  async gap(): Promise<void> {
    const restMs = this.options.flushGapMs - this.sinceFlushMs();
    if (restMs > 0) await this.options.sleep(restMs);
    this.begunAtMs = this.options.clock.steadyMs();
  }

  flushed(): void {
    const nowMs = this.options.clock.steadyMs();
    this.flushedAtMs = nowMs;
    const tookMs = nowMs - this.begunAtMs;
    const perFlush = this.options.isSaturated() ? GAP_PER_FLUSH_SATURATED : GAP_PER_FLUSH;
    this.gapMs = Math.min(this.options.flushMs, Math.max(this.options.flushGapMs, perFlush * tookMs));
  }

  isCommitDue(): boolean {
    return this.options.clock.steadyMs() - this.committedAtMs >= this.options.commitMs;
  }

  committed(): void {
    this.committedAtMs = this.options.clock.steadyMs();
  }

  private isFull({ dirtyCount }: PartitionOwner): boolean {
    const { dirtyGroupsMax, isSaturated } = this.options;
    return dirtyCount >= dirtyGroupsMax && (dirtyCount >= DIRTY_GROUPS_SATURATED * dirtyGroupsMax || !isSaturated());
  }

  private sinceFlushMs(): number {
    return this.options.clock.steadyMs() - this.flushedAtMs;
  }
}
