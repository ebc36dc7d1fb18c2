import type { PartitionOwner } from '../domain/partition-owner.ts';
import type { Clock } from '../ports.ts';

export type FlushPolicyOptions = {
  readonly clock: Clock;
  readonly sleep: (ms: number) => Promise<void>;
  readonly flushMs: number;
  readonly flushGapMs: number;
  readonly dirtyGroupsMax: number;
  readonly commitMs: number;
};

/**
 * When to flush: pacing of I/O only. What is in a flush is decided by the log; a different pace gives the same
 * records in the same order (E1).
 */
export class FlushPolicy {
  private readonly options: FlushPolicyOptions;
  private flushedAtMs = Number.NEGATIVE_INFINITY;
  private committedAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: FlushPolicyOptions) {
    this.options = options;
  }

  /** In the middle of a batch: the bound on unsaved groups is reached, or alerts have waited for the least gap. */
  isDue(owner: PartitionOwner): boolean {
    if (owner.dirtyCount >= this.options.dirtyGroupsMax) return true;
    return owner.freshCount > 0 && this.sinceFlushMs() >= this.options.flushGapMs;
  }

  /** At the end of a batch alerts leave at once, those of an earlier flush too whose acknowledgement did not come. */
  isDueAtEnd(owner: PartitionOwner): boolean {
    return (
      owner.freshCount > 0 ||
      owner.pendingCount > 0 ||
      (owner.needsFlush && this.sinceFlushMs() >= this.options.flushMs)
    );
  }

  /** Waits out the least gap to the flush before. */
  async gap(): Promise<void> {
    const restMs = this.options.flushGapMs - this.sinceFlushMs();
    if (restMs > 0) await this.options.sleep(restMs);
  }

  flushed(): void {
    this.flushedAtMs = this.options.clock.nowMs();
  }

  isCommitDue(): boolean {
    return this.options.clock.nowMs() - this.committedAtMs >= this.options.commitMs;
  }

  committed(): void {
    this.committedAtMs = this.options.clock.nowMs();
  }

  private sinceFlushMs(): number {
    return this.options.clock.nowMs() - this.flushedAtMs;
  }
}
