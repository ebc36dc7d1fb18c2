import { backoffMs, sleepMs, withinMs } from './backoff.ts';
import { FAULTS, KafkaError, type KafkaFault, KafkaOffsetOutOfRangeError, KafkaTopicReplacedError } from './errors.ts';
import { FETCH_STALL_MS, FetchLoop } from './fetch-loop.ts';
import { PartitionLane } from './partition-lane.ts';
import type { ConsumerOptions, KafkaConsumer, KafkaRefusal, StartPosition, TopicPartition } from './port.ts';
import type { ConsumerWires, FetchWire, KafkaLogger, Membership } from './wire.ts';

export const SESSION_TIMEOUT_MS = 30_000;
export const PARTITION_BYTES_MAX: number = 1024 * 1024;
/** Beyond a session time-out, and another one while it joins, a member without a sign of life for so long is stalled. */
const MEMBER_GRACE_MS = 5_000;
/** Commits are for lag tools: a drain does not wait long for a coordinator that is away. */
const COMMIT_DRAIN_MS = 3_000;
/** Closing a lost member must not wait for a dead broker. */
const CLOSE_MS_MAX = 5_000;

/** What is to be committed of one partition, and who waits for it. */
type Commit = {
  readonly partition: TopicPartition;
  offset: bigint;
  note: string | undefined;
  readonly done: (() => void)[];
};

/**
 * The consumer of the port. The library only keeps the group membership; fetching is `FetchLoop`, order and redelivery
 * are `PartitionLane`. Heartbeats do not depend on handlers, so a batch may take longer than the session time-out.
 *
 * Every join is a new assignment of everything held: kafkajs shows no generation, so a partition kept through a
 * rebalance cannot be told from one that another member had in between.
 */
export class GroupConsumer implements KafkaConsumer {
  private readonly options: ConsumerOptions;
  private readonly wires: ConsumerWires;
  private readonly log: KafkaLogger;
  private readonly lanes = new Map<string, PartitionLane>();
  /** Last life of every partition ever held here: the next one waits for it. */
  private readonly ends = new Map<string, Promise<void>>();
  private readonly fetching: FetchLoop;
  private readonly stopping = new AbortController();
  private readonly commits = new Map<string, Commit>();
  private committing: Promise<void> | null = null;
  private membership: Membership | null = null;
  private supervision: Promise<void> | null = null;
  private aliveAtMs = 0;
  private hasFailed = false;
  /** Code of the fault for which the group does not take the member. */
  private refusal: string | null = null;

  private readonly memberGraceMs: number;

  /** `watchdogs`: shorter limits for tests. */
  constructor(
    options: ConsumerOptions,
    wires: ConsumerWires,
    log: KafkaLogger,
    watchdogs: { fetchStallMs?: number; memberGraceMs?: number } = {},
  ) {
    this.options = options;
    this.memberGraceMs = watchdogs.memberGraceMs ?? MEMBER_GRACE_MS;
    this.wires = wires;
    this.log = (level, message, fields) => log(level, message, { groupId: options.groupId, ...fields });
    this.fetching = new FetchLoop({
      open: () => wires.openFetch(options.topics),
      classify: wires.classify,
      lanes: () => this.lanes.values(),
      partitionBytesMax: options.partitionBytesMax ?? PARTITION_BYTES_MAX,
      stallMs: watchdogs.fetchStallMs ?? FETCH_STALL_MS,
      verifyTopic: (lane) => this.verifyTopic(lane),
      onOutOfRange: (lane, wire) => this.confirmOutOfRange(lane, wire),
      log: this.log,
    });
  }

  /** Resolves at once: joining goes on in the background for as long as the cluster or the topics are away. */
  start(): Promise<void> {
    this.supervision ??= this.supervise();
    return Promise.resolve();
  }

  commit(partition: TopicPartition, offset: bigint, note?: string): Promise<void> {
    return new Promise((resolve) => {
      const key = keyOf(partition);
      const waiting = this.commits.get(key);
      if (waiting) {
        waiting.offset = offset;
        waiting.note = note;
        waiting.done.push(resolve);
      } else {
        this.commits.set(key, { partition, offset, note, done: [resolve] });
      }
      this.committing ??= this.flushCommits().finally(() => {
        this.committing = null;
      });
    });
  }

  seek(partition: TopicPartition, offset: bigint): void {
    this.lanes.get(keyOf(partition))?.seek(offset);
  }

  pause(partition: TopicPartition): void {
    this.lanes.get(keyOf(partition))?.pause();
  }

  resume(partition: TopicPartition): void {
    this.lanes.get(keyOf(partition))?.resume();
  }

  assignment(): readonly TopicPartition[] {
    return [...this.lanes.values()].map((lane) => lane.partition);
  }

  refusals(): readonly KafkaRefusal[] {
    const refused: KafkaRefusal[] = this.refusal === null ? [] : [{ partition: null, code: this.refusal }];
    for (const { partition, refusal } of this.lanes.values()) {
      if (refusal !== null) refused.push({ partition, code: refusal });
    }
    return refused;
  }

  async stop(): Promise<void> {
    if (!this.stopping.signal.aborted) {
      // Drain first and leave then: leaving early would give the partitions away under running batches.
      const draining = [...this.lanes.values()];
      for (const lane of draining) lane.close();
      await Promise.all(draining.map((lane) => lane.done));
      await Promise.race([this.committing, sleepMs(COMMIT_DRAIN_MS)]);
      this.stopping.abort();
    }
    await this.supervision;
    await Promise.all(this.ends.values());
    await this.fetching.close();
  }

  /** Keeps one member alive until stopped: a crashed or silent member is closed and made anew. */
  private async supervise(): Promise<void> {
    let attempt = 0;
    while (!this.stopping.signal.aborted) {
      const startedAtMs = performance.now();
      try {
        await this.liveOnce();
      } catch (error) {
        const fault = this.faultOf(error);
        if (!fault.retriable) this.refusal = fault.code;
        this.log('warn', 'the group member ended and is made anew', { code: fault.code, err: error });
      }
      this.replaceAssignment([]);
      attempt = performance.now() - startedAtMs > 60_000 ? 1 : attempt + 1;
      await sleepMs(backoffMs(attempt), this.stopping.signal);
    }
  }

  private async liveOnce(): Promise<void> {
    const sessionTimeoutMs = this.options.sessionTimeoutMs ?? SESSION_TIMEOUT_MS;
    const ended = new AbortController();
    let crash: unknown;
    // A join is answered when all members have come, or their time is over.
    let isJoining = true;
    this.aliveAtMs = performance.now();
    const { groupId, topics } = this.options;
    const membership = await this.wires.join(
      { groupId, topics, sessionTimeoutMs },
      {
        joined: (assignment) => {
          isJoining = false;
          this.refusal = null;
          this.aliveAtMs = performance.now();
          if (!this.stopping.signal.aborted && !ended.signal.aborted) this.replaceAssignment(assignment);
        },
        rebalancing: () => {
          isJoining = true;
          this.aliveAtMs = performance.now();
          for (const lane of this.lanes.values()) lane.hold();
        },
        alive: () => {
          this.aliveAtMs = performance.now();
        },
        crashed: (error) => {
          crash = error;
          ended.abort();
        },
      },
    );
    this.membership = membership;
    try {
      const stop = AbortSignal.any([ended.signal, this.stopping.signal]);
      while (!stop.aborted) {
        await sleepMs(Math.min(1_000, sessionTimeoutMs / 4), stop);
        const silentMsMax = (isJoining ? 2 : 1) * sessionTimeoutMs + this.memberGraceMs;
        if (performance.now() - this.aliveAtMs > silentMsMax) {
          throw new KafkaError('the group member shows no sign of life', FAULTS.timeout);
        }
      }
      if (ended.signal.aborted) throw crash;
    } finally {
      ended.abort();
      this.membership = null;
      for (const lane of this.lanes.values()) lane.hold();
      await withinMs(membership.close(), CLOSE_MS_MAX, () => new KafkaError('closing timed out', FAULTS.timeout)).catch(
        (error: unknown) => this.log('warn', 'a group member did not close cleanly', { err: error }),
      );
    }
  }

  private replaceAssignment(assignment: readonly TopicPartition[]): void {
    for (const lane of this.lanes.values()) lane.close();
    this.lanes.clear();
    const topicIds = new Map<string, Promise<string>>();
    for (const { topic, partition } of assignment) {
      const at = { topic, partition };
      const key = keyOf(at);
      const lane = new PartitionLane({
        partition: at,
        handler: this.options.handler,
        previous: this.ends.get(key) ?? Promise.resolve(),
        lookUpTopicId: () => this.lookUpTopicId(topicIds, topic),
        resolveStart: (position) => this.resolveStart(at, position),
        bufferBytesMax: 2 * (this.options.partitionBytesMax ?? PARTITION_BYTES_MAX),
        batchBytesMax: this.options.partitionBytesMax ?? PARTITION_BYTES_MAX,
        onWanting: () => this.fetching.wake(),
        onFatal: (error) => this.fail(error),
        classify: (error) => this.faultOf(error),
        log: this.log,
      });
      if (this.hasFailed) lane.hold();
      this.lanes.set(key, lane);
      this.ends.set(key, lane.done);
    }
  }

  /** Once per topic and assignment. */
  private lookUpTopicId(known: Map<string, Promise<string>>, topic: string): Promise<string> {
    const found = known.get(topic);
    if (found) return found;
    const asked = this.wires.topicId(topic);
    known.set(topic, asked);
    asked.catch(() => known.delete(topic));
    return asked;
  }

  /** A topic that was deleted and made again shows first as a failed fetch: the id tells it from a lost broker. */
  private async verifyTopic(lane: PartitionLane): Promise<boolean> {
    const topicId = await this.wires.topicId(lane.partition.topic);
    if (lane.topicId === null || topicId === lane.topicId || lane.isClosed) return true;
    this.fail(new KafkaTopicReplacedError(lane.partition));
    return false;
  }

  /** Never an offset outside the log: what is gone stops the service instead of being skipped (X5). */
  private async resolveStart(at: TopicPartition, position: StartPosition): Promise<bigint> {
    const { low, high } = await this.fetching.ask((wire) => wire.offsetRange(at));
    if (position.kind === 'earliest') return low;
    const offset = position.kind === 'offset' ? position.offset : await this.wires.committed(this.options.groupId, at);
    if (offset === null) return low;
    if (offset < low || offset > high) throw new KafkaOffsetOutOfRangeError({ ...at, offset, low, high });
    return offset;
  }

  private async confirmOutOfRange(lane: PartitionLane, wire: FetchWire): Promise<void> {
    const offset = lane.position;
    if (offset === null) return;
    try {
      const { low, high } = await wire.offsetRange(lane.partition);
      // A leader that has just been elected may answer so for a moment: then the range says otherwise.
      if (offset >= low && offset <= high) return;
      if (lane.isClosed || lane.position !== offset) return;
      this.fail(new KafkaOffsetOutOfRangeError({ ...lane.partition, offset, low, high }));
    } catch (error) {
      this.log('warn', 'an offset out of range could not be checked', { ...lane.partition, offset, err: error });
    }
  }

  private faultOf(error: unknown): KafkaFault {
    return error instanceof KafkaError ? error.fault : this.wires.classify(error);
  }

  private fail(error: unknown): void {
    for (const lane of this.lanes.values()) lane.hold();
    if (this.hasFailed) return;
    this.hasFailed = true;
    this.log('error', 'a partition cannot go on', { err: error });
    this.options.onFatal(error);
  }

  /** The newest offset per partition; gives up on partitions that are no longer held. */
  private async flushCommits(): Promise<void> {
    for (let attempt = 0; this.commits.size > 0; ) {
      const [key, entry] = this.commits.entries().next().value as [
        string,
        NonNullable<ReturnType<typeof this.commits.get>>,
      ];
      const { offset, note } = entry;
      const isOurs = this.lanes.has(key) && !this.stopping.signal.aborted;
      let isDone = !isOurs;
      if (isOurs && this.membership) {
        try {
          await this.membership.commit(entry.partition, offset, note);
          attempt = 0;
          isDone = entry.offset === offset;
        } catch (error) {
          const fault = this.faultOf(error);
          this.log('debug', 'an offset commit is tried again', { ...entry.partition, code: fault.code });
        }
      }
      if (isDone) {
        this.commits.delete(key);
        for (const done of entry.done) done();
      } else if (entry.offset === offset) {
        await sleepMs(backoffMs(++attempt), this.stopping.signal);
      }
    }
  }
}

function keyOf(partition: TopicPartition): string {
  return `${partition.topic}/${partition.partition}`;
}
