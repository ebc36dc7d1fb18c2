import { withinMs } from './backoff.ts';
import { FAULTS, KafkaError, type KafkaFault } from './errors.ts';
import type { PartitionLane } from './partition-lane.ts';
import type { FaultClassifier, FetchAnswer, FetchWire, KafkaLogger } from './wire.ts';
import { WireHolder } from './wire-holder.ts';

/** A broker may wait so long for the first record when every partition it leads is asked for. */
const WAIT_MS_MAX = 250;
/** … and so long when a partition is left out (buffer full, not started), because it may want records any moment. */
const WAIT_MS_PARTIAL = 50;
/** A fetch without an answer for so long beyond its wait counts as stalled: the connections are replaced. */
export const FETCH_STALL_MS = 10_000;
const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 5_000;

export type FetchLoopOptions = {
  readonly open: () => Promise<FetchWire>;
  readonly classify: FaultClassifier;
  readonly lanes: () => Iterable<PartitionLane>;
  readonly partitionBytesMax: number;
  readonly stallMs: number;
  /** False: the lane must not be read any more. Asked before a lane is fetched again after a failure. */
  readonly verifyTopic: (lane: PartitionLane) => Promise<boolean>;
  /** The broker says that the lane's position is not in its log. */
  readonly onOutOfRange: (lane: PartitionLane, wire: FetchWire) => Promise<void>;
  readonly log: KafkaLogger;
};

/**
 * Keeps the lanes filled: one long poll per broker at a time, over all partitions it leads that want records. Of our
 * own, because that of kafkajs waits for the slowest partition of a broker before it fetches again, jumps silently when
 * an offset is out of range, and sometimes stops (tulios/kafkajs#1140, #1072).
 */
export class FetchLoop {
  private readonly options: FetchLoopOptions;
  private readonly wires: WireHolder<FetchWire>;
  private readonly polling = new Set<number>();
  private isDispatching = false;
  private isAskedAgain = false;
  private timer: NodeJS.Timeout | undefined;
  private isClosed = false;

  constructor(options: FetchLoopOptions) {
    this.options = options;
    this.wires = new WireHolder(options.open);
  }

  /** Cheap; call it whenever a lane may want records. */
  wake(): void {
    if (this.isClosed) return;
    if (this.isDispatching) {
      this.isAskedAgain = true;
      return;
    }
    this.isDispatching = true;
    void this.dispatch().finally(() => {
      this.isDispatching = false;
      if (this.isAskedAgain) {
        this.isAskedAgain = false;
        this.wake();
      }
    });
  }

  /** A wire for questions about the log. */
  async ask<T>(question: (wire: FetchWire) => Promise<T>): Promise<T> {
    const held = await this.wires.acquire();
    try {
      return await this.wires.use(held, question);
    } catch (error) {
      if (this.faultOf(error).staleMetadata) this.wires.drop(held);
      throw error;
    }
  }

  async close(): Promise<void> {
    this.isClosed = true;
    clearTimeout(this.timer);
    await this.wires.close();
  }

  /** Finds the leader of lanes without one and starts a poll for every broker that has something to do. */
  private async dispatch(): Promise<void> {
    const nowMs = performance.now();
    const lanes = [...this.options.lanes()].filter((lane) => lane.wantsRecords(nowMs));
    const homeless = lanes.filter((lane) => lane.leader === null);
    if (homeless.length > 0) await this.findLeaders(homeless);
    for (const lane of lanes) {
      if (lane.leader !== null && !this.polling.has(lane.leader)) {
        this.polling.add(lane.leader);
        void this.poll(lane.leader);
      }
    }
    this.scheduleRetry();
  }

  private async findLeaders(lanes: readonly PartitionLane[]): Promise<void> {
    try {
      const held = await this.wires.acquire();
      let refreshed = false;
      for (const lane of lanes) {
        if (lane.fetchFailures > 0 && !(await this.options.verifyTopic(lane))) continue;
        const refresh: boolean = lane.fetchFailures > 0 && !refreshed;
        refreshed ||= refresh;
        lane.leader = await withinMs(
          this.wires.use(held, (wire) => wire.leader(lane.partition, { refresh })),
          this.options.stallMs,
          () => new KafkaError('no answer to a metadata request in time', FAULTS.timeout),
        ).catch((error: unknown) => {
          this.wires.drop(held);
          throw error;
        });
        if (lane.leader === null) this.delay(lane, FAULTS.notLeader);
      }
    } catch (error) {
      const fault = this.faultOf(error);
      for (const lane of lanes) if (lane.leader === null) this.delay(lane, fault);
      this.options.log('warn', 'the leaders of partitions could not be found', { code: fault.code, err: error });
    }
  }

  private async poll(node: number): Promise<void> {
    try {
      while (!this.isClosed) {
        const nowMs = performance.now();
        const lanes = [...this.options.lanes()].filter((lane) => !lane.isClosed);
        const wanting = lanes.filter((lane) => lane.leader === node && lane.wantsRecords(nowMs));
        if (wanting.length === 0) return;
        const isComplete = lanes.every(
          (lane) => wanting.includes(lane) || (lane.leader !== null && lane.leader !== node),
        );
        await this.fetchOnce(node, wanting, isComplete ? WAIT_MS_MAX : WAIT_MS_PARTIAL);
      }
    } finally {
      this.polling.delete(node);
      // A lane may have moved to another broker, or wait for its next try.
      if ([...this.options.lanes()].some((lane) => lane.leader === null)) this.wake();
    }
  }

  private async fetchOnce(node: number, lanes: readonly PartitionLane[], waitMs: number): Promise<void> {
    const asked = lanes.map((lane) => ({ lane, offset: lane.position as bigint }));
    for (const { lane } of asked) lane.isFetching = true;
    let held: Awaited<ReturnType<typeof this.wires.acquire>> | undefined;
    try {
      held = await this.wires.acquire();
      const requests = asked.map(({ lane, offset }) => ({
        ...lane.partition,
        offset,
        bytesMax: this.options.partitionBytesMax,
      }));
      const answers = await withinMs(
        this.wires.use(held, (wire) => wire.fetch(node, requests, waitMs)),
        waitMs + this.options.stallMs,
        () => new KafkaError('no answer to a fetch in time', FAULTS.timeout),
      );
      const byPartition = new Map(answers.map((answer) => [`${answer.topic}/${answer.partition}`, answer]));
      for (const { lane, offset } of asked) {
        lane.isFetching = false;
        const answer = byPartition.get(`${lane.partition.topic}/${lane.partition.partition}`);
        if (answer) await this.apply(lane, offset, answer, held.wire);
      }
    } catch (error) {
      if (this.isClosed) return;
      const fault = this.faultOf(error);
      if (held) this.wires.drop(held);
      this.options.log('warn', 'a broker could not be asked for records', { node, code: fault.code, err: error });
      for (const { lane } of asked) this.delay(lane, fault);
    } finally {
      for (const { lane } of asked) lane.isFetching = false;
    }
  }

  private async apply(lane: PartitionLane, asked: bigint, answer: FetchAnswer, wire: FetchWire): Promise<void> {
    if (answer.kind === 'records') {
      lane.fetchFailures = 0;
      lane.refusal = null;
      lane.offer(asked, answer);
      return;
    }
    this.delay(lane, answer.fault);
    if (answer.fault.code === FAULTS.offsetOutOfRange.code && lane.position === asked && !lane.isClosed) {
      await this.options.onOutOfRange(lane, wire);
    } else {
      // What no retry mends is a matter for a human; the rest passes by itself.
      const level = answer.fault.retriable ? 'debug' : 'warn';
      this.options.log(level, 'a partition could not be fetched', {
        ...lane.partition,
        offset: asked,
        code: answer.fault.code,
      });
    }
  }

  /** Looks for the leader again after a growing delay. A fault that passes by itself says nothing of an earlier refusal. */
  private delay(lane: PartitionLane, fault: KafkaFault): void {
    if (!fault.retriable) lane.refusal = fault.code;
    lane.leader = null;
    lane.fetchFailures++;
    lane.retryAtMs =
      performance.now() + Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** Math.min(lane.fetchFailures - 1, 10));
    this.scheduleRetry();
  }

  private scheduleRetry(): void {
    let nextMs = Number.POSITIVE_INFINITY;
    for (const lane of this.options.lanes()) {
      if (lane.leader === null && !lane.isClosed && lane.position !== null) nextMs = Math.min(nextMs, lane.retryAtMs);
    }
    clearTimeout(this.timer);
    if (this.isClosed || nextMs === Number.POSITIVE_INFINITY) return;
    this.timer = setTimeout(() => this.wake(), Math.max(5, nextMs - performance.now()));
  }

  private faultOf(error: unknown): KafkaFault {
    return error instanceof KafkaError ? error.fault : this.options.classify(error);
  }
}
