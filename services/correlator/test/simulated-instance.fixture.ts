import type { MatchBatch } from '@tracehound/event-model';
import { InvariantError } from '@tracehound/event-model';
import type { KafkaRecord } from '@tracehound/kafka';
import type { SeededRandom } from '@tracehound/testkit';
import type { MemoryStateStore } from '../src/adapters/memory-state-store.ts';
import { Correlator } from '../src/correlator.ts';
import type { PartitionOwner } from '../src/domain/partition-owner.ts';
import type { WindowEngine } from '../src/domain/window.ts';
import type { EmittedBase } from '../src/ports.ts';

/** The topic of every simulation. */
export const TOPIC = 'security.matches';

/** What the world holds of one matches partition. */
export type PartitionLog = {
  readonly partition: number;
  readonly records: KafkaRecord[];
  /** What stage A has still to append. */
  readonly waiting: MatchBatch[];
  readonly snapshots: ReturnType<MemoryStateStore['snapshot']>[];
  visible: number;
  committed: EmittedBase | null;
  /** Some state was rebuilt from the middle of the log, so its counters began there. */
  isCountedAnew: boolean;
};

/** One process with its consumer: a position, at most one batch at a time, redelivery after a rejection. */
export class Instance {
  readonly correlator: Correlator;
  isDead = false;
  isBusy = false;
  stopped: string | null = null;
  owner: PartitionOwner | null = null;
  engine: WindowEngine | null = null;
  private readonly log: PartitionLog;
  private position: number | null = null;
  private seeks = 0;
  private readonly random: SeededRandom;

  constructor(
    open: (self: Instance) => ReturnType<ConstructorParameters<typeof Correlator>[0]['open']>,
    log: PartitionLog,
    nowMs: () => number,
    random: SeededRandom,
  ) {
    this.log = log;
    this.random = random;
    this.correlator = new Correlator({
      open: () => open(this),
      range: async () => ({ low: 0n, high: BigInt(log.visible) }),
      onLostRange: 'stop',
      clock: { steadyMs: nowMs },
      logger: { info: () => undefined, warn: () => undefined, error: () => undefined },
    });
    this.correlator.bind({
      seek: (_, offset) => {
        this.seeks++;
        this.position = Number(offset);
      },
    });
  }

  get partition(): number {
    return this.log.partition;
  }

  private get place() {
    return { topic: TOPIC, partition: this.log.partition };
  }

  move(): void {
    if (this.isDead || this.isBusy) return;
    if (this.position !== null && this.random.next() < 0.3) return this.correlator.flushIdle();
    this.isBusy = true;
    const work = this.position === null ? this.join() : this.consume(this.position);
    work
      // A rejection is a redelivery: the position has not moved. An invariant would stop the process for good.
      .catch((error: unknown) => {
        if (error instanceof InvariantError) this.stopped = error.message;
      })
      .finally(() => {
        this.isBusy = false;
      });
  }

  private async join(): Promise<void> {
    const start = await this.correlator.assigned(this.place);
    this.position = start.kind === 'offset' ? Number(start.offset) : 0;
  }

  private async consume(from: number): Promise<void> {
    const to = Math.min(this.log.visible, from + 1 + this.random.below(8));
    const records = this.log.records.slice(from, to);
    if (records.length === 0) return this.correlator.flushIdle();
    const { seeks } = this;
    await this.correlator.batch({ ...this.place, records, highWatermark: BigInt(this.log.visible) });
    // A seek made meanwhile is the later word.
    if (seeks === this.seeks) this.position = to;
  }
}
