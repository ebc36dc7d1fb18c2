import { InvariantError } from '@tracehound/event-model';
import { backoffMs, sleepMs } from './backoff.ts';
import { KafkaOffsetOutOfRangeError } from './errors.ts';
import type { KafkaBatch, PartitionHandler, StartPosition, TopicPartition } from './port.ts';
import type { FaultClassifier, FetchedRecords, KafkaLogger } from './wire.ts';

export type LaneOptions = {
  readonly partition: TopicPartition;
  readonly handler: PartitionHandler;
  /** The life of this partition under an earlier assignment: calls for one partition never overlap. */
  readonly previous: Promise<void>;
  /** Id of the topic under this assignment. */
  readonly lookUpTopicId: () => Promise<string>;
  /** Turns a start position into an offset that lies in the log, or rejects with `KafkaOffsetOutOfRangeError`. */
  readonly resolveStart: (position: StartPosition) => Promise<bigint>;
  /** What may wait in memory before fetching stops. */
  readonly bufferBytesMax: number;
  /** Up to here what has been fetched meanwhile is one batch. */
  readonly batchBytesMax: number;
  /** The lane can take records (again). */
  readonly onWanting: () => void;
  readonly onFatal: (error: unknown) => void;
  readonly classify: FaultClassifier;
  readonly log: KafkaLogger;
};

type Fetched = { readonly records: FetchedRecords; readonly highWatermark: bigint };

/** What the handler has, or gets next. */
type Head = { readonly batch: KafkaBatch; readonly bytes: number };

/**
 * One assignment of one partition: `assigned`, then batches one after the other, then `revoked`. It holds what has been
 * fetched and not yet been processed, and gives a rejected batch to the handler again from here, without a new fetch.
 */
export class PartitionLane {
  readonly partition: TopicPartition;
  /** Ends after `revoked` has returned. Never rejects. */
  readonly done: Promise<void>;
  /** Broker to ask; null while unknown. Owned by the fetch loop. */
  leader: number | null = null;
  /** A fetch for this lane is on its way. Owned by the fetch loop. */
  isFetching = false;
  /** The offsets of this lane count in the topic of this id; null before `assigned`. */
  topicId: string | null = null;
  fetchFailures = 0;
  /** Code of the fault for which nothing is read now, where no retry mends it. The fetch loop sets it too. */
  refusal: string | null = null;
  /** On the steady clock (`performance.now`). */
  retryAtMs = 0;

  private readonly options: LaneOptions;
  private readonly buffer: Fetched[] = [];
  private head: Head | null = null;
  private readonly closing = new AbortController();
  private bufferedBytes = 0;
  private next: bigint | null = null;
  private seeks = 0;
  private isPaused = false;
  private isHeld = false;
  private wakeUp: (() => void) | null = null;

  constructor(options: LaneOptions) {
    this.options = options;
    this.partition = options.partition;
    this.done = this.run();
  }

  /** Next offset to fetch; null before `assigned` has answered. */
  get position(): bigint | null {
    return this.next;
  }

  get isClosed(): boolean {
    return this.closing.signal.aborted;
  }

  wantsRecords(nowMs: number): boolean {
    return (
      this.next !== null &&
      !this.isFetching &&
      !this.isPaused &&
      !this.isHeld &&
      !this.isClosed &&
      this.bufferedBytes < this.options.bufferBytesMax &&
      this.retryAtMs <= nowMs
    );
  }

  /** Takes the answer to a fetch from `askedOffset`; ignored when a seek or the end of the assignment came between. */
  offer(askedOffset: bigint, { records, nextOffset, highWatermark }: Fetched & { readonly nextOffset: bigint }): void {
    if (this.isClosed || this.next !== askedOffset) return;
    this.next = nextOffset;
    if (records.count === 0) return;
    this.buffer.push({ records, highWatermark });
    this.bufferedBytes += records.bytes;
    this.signal();
  }

  seek(offset: bigint): void {
    this.seeks++;
    this.next = offset;
    this.buffer.length = 0;
    this.head = null;
    this.bufferedBytes = 0;
    this.signal();
    this.options.onWanting();
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
    this.signal();
    this.options.onWanting();
  }

  /** Starts no further batch, for a rebalance or a drain. The lane that follows a rebalance is a new one. */
  hold(): void {
    this.isHeld = true;
  }

  /** Ends the assignment: the running batch ends, nothing new starts, then `revoked`. */
  close(): void {
    this.closing.abort();
    this.signal();
  }

  private signal(): void {
    this.wakeUp?.();
    this.wakeUp = null;
  }

  private async run(): Promise<void> {
    await this.options.previous;
    if (this.isClosed) return;
    await this.start();
    while (!this.isClosed) {
      const head = this.isPaused || this.isHeld ? null : this.nextHead();
      if (head === null) {
        await new Promise<void>((resolve) => {
          this.wakeUp = resolve;
        });
        continue;
      }
      await this.process(head);
    }
    try {
      await this.options.handler.revoked(this.partition);
    } catch (error) {
      this.options.log('warn', 'a revoked handler failed', { ...this.partition, err: error });
    }
  }

  private async start(): Promise<void> {
    for (let attempt = 1; !this.isClosed; attempt++) {
      try {
        this.topicId = await this.options.lookUpTopicId();
        const position = await this.options.handler.assigned(this.partition);
        const offset = await this.options.resolveStart(position);
        // A seek made meanwhile is the later word.
        if (this.seeks === 0) this.next = offset;
        this.refusal = null;
        this.options.onWanting();
        return;
      } catch (error) {
        if (isFatal(error)) return this.fail(error);
        const fault = this.options.classify(error);
        if (!fault.retriable) this.refusal = fault.code;
        this.options.log('warn', 'an assigned partition could not start', { ...this.partition, attempt, err: error });
        await sleepMs(backoffMs(attempt), this.closing.signal);
      }
    }
  }

  /**
   * What was fetched first with what has come since: a fetch brings what there is at that moment, so a handler with a cost per batch
   * would fall behind ever smaller batches. It stays as it is when it is given again.
   */
  private nextHead(): Head | null {
    if (this.head !== null) return this.head;
    let bytes = 0;
    let count = 0;
    for (const { records } of this.buffer) {
      if (count > 0 && bytes + records.bytes > this.options.batchBytesMax) break;
      bytes += records.bytes;
      count++;
    }
    const parts = this.buffer.splice(0, count);
    const last = parts.at(-1);
    if (last === undefined) return null;
    const records = parts.length === 1 ? last.records.make() : parts.flatMap((part) => part.records.make());
    this.head = { batch: { ...this.partition, records, highWatermark: last.highWatermark }, bytes };
    return this.head;
  }

  /** One batch until it is done, or a seek or the end of the assignment made it void. */
  private async process(head: Head): Promise<void> {
    const seeks = this.seeks;
    for (let attempt = 1; !this.isClosed && seeks === this.seeks; attempt++) {
      try {
        await this.options.handler.batch(head.batch);
        if (seeks !== this.seeks) return;
        this.head = null;
        this.bufferedBytes -= head.bytes;
        this.options.onWanting();
        return;
      } catch (error) {
        if (isFatal(error)) return this.fail(error);
        const delayMs = backoffMs(attempt);
        this.options.log('warn', 'a batch was rejected and comes again', {
          ...this.partition,
          offset: head.batch.records[0]?.offset,
          attempt,
          delayMs,
          err: error,
        });
        await sleepMs(delayMs, this.closing.signal);
        while (this.isPaused && !this.isClosed && seeks === this.seeks) {
          await new Promise<void>((resolve) => {
            this.wakeUp = resolve;
          });
        }
        // A rebalance has begun meanwhile: the next owner gets these records.
        if (this.isHeld) return;
      }
    }
  }

  private fail(error: unknown): void {
    this.isHeld = true;
    this.options.onFatal(error);
  }
}

function isFatal(error: unknown): boolean {
  return error instanceof InvariantError || error instanceof KafkaOffsetOutOfRangeError;
}
