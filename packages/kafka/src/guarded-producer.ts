import { backoffMs, sleepMs, withinMs } from './backoff.ts';
import { FAULTS, KafkaError, type KafkaFault, KafkaProduceError } from './errors.ts';
import { partitionForKey } from './partitioner.ts';
import type { KafkaProducer, OutgoingRecord, ProduceResult, TopicPartition } from './port.ts';
import type { FaultClassifier, KafkaLogger, ProducerWire } from './wire.ts';
import { type HeldWire, WireHolder } from './wire-holder.ts';

/** One request stays below the default `max.message.bytes` of a topic (1,048,588) after framing. */
export const REQUEST_BYTES_MAX = 1_000_000;
/** What may wait for the broker in one producer: at 500 bytes a record about 130,000 records. Beyond it `send` waits. */
export const QUEUE_BYTES_MAX: number = 64 * 1024 * 1024;
/** Time a caller waits for an acknowledgement unless it says otherwise. */
export const PRODUCE_TIMEOUT_MS = 30_000;
/** An attempt without an answer for so long counts as stalled: the connections are dropped. */
export const STALL_TIMEOUT_MS = 10_000;
/** First delay between two attempts at the same records; doubles up to 1 s. A leader election takes seconds. */
const RETRY_DELAY_MS_MIN = 50;
const RETRY_DELAY_MS_MAX = 1_000;
/** Framing of a record: varints, deltas, and the header count. */
const RECORD_OVERHEAD_BYTES = 24;

type Job = {
  readonly records: readonly OutgoingRecord[];
  readonly bytes: number;
  readonly deadlineMs: number;
  /** An attempt at these records ended without a definite answer. */
  maybeWritten: boolean;
  readonly resolve: (at: { baseOffset: bigint; appendTimeMs: number | null }) => void;
  readonly reject: (error: unknown) => void;
};

type Lane = { readonly target: TopicPartition; readonly jobs: Job[]; running: boolean };

export type GuardedProducerOptions = {
  /** Makes a fresh set of connections; called again after every indefinite error. */
  readonly open: () => Promise<ProducerWire>;
  readonly classify: FaultClassifier;
  readonly log: KafkaLogger;
  readonly requestBytesMax?: number;
  readonly queueBytesMax?: number;
  readonly stallTimeoutMs?: number;
};

/**
 * The producer of the port over single, unretried attempts of a library (ARCHITECTURE 3.2).
 *
 * Per partition one request is in flight, so order is kept through retries; while it is, later records gather and go
 * out together (no linger, so an idle producer adds no latency). An answer that does not name the partition counts as
 * unknown and is sent again. After an indefinite fault, or none at all within the stall time-out, the connections
 * are replaced, because late answers of the old ones prove nothing about what was sent since.
 */
export class GuardedProducer implements KafkaProducer {
  private readonly options: Required<GuardedProducerOptions>;
  private readonly lanes = new Map<string, Lane>();
  private readonly partitionCounts = new Map<string, { count: Promise<number>; atMs: number }>();
  private readonly waiters: { bytes: number; admit: () => void }[] = [];
  private readonly wires: WireHolder<ProducerWire>;
  private readonly accepted = new Set<Promise<unknown>>();
  private queuedBytes = 0;
  private roundRobin = 0;
  private closed = false;

  constructor(options: GuardedProducerOptions) {
    this.options = {
      requestBytesMax: REQUEST_BYTES_MAX,
      queueBytesMax: QUEUE_BYTES_MAX,
      stallTimeoutMs: STALL_TIMEOUT_MS,
      ...options,
    };
    this.wires = new WireHolder(options.open);
  }

  async sendTo(
    target: TopicPartition,
    records: readonly OutgoingRecord[],
    options: { timeoutMs?: number } = {},
  ): Promise<{ baseOffset: bigint; appendTimeMs: number | null }> {
    if (this.closed) throw new KafkaProduceError(FAULTS.closed, { indefinite: false, at: target });
    if (records.length === 0) {
      throw new KafkaProduceError(FAULTS.invalidRequest, { indefinite: false, at: target });
    }
    return this.carried(this.enqueue(target, records, deadlineOf(options.timeoutMs)));
  }

  async send(
    topic: string,
    records: readonly OutgoingRecord[],
    options: { timeoutMs?: number } = {},
  ): Promise<readonly ProduceResult[]> {
    if (this.closed) {
      const error = new KafkaProduceError(FAULTS.closed, { indefinite: false, at: { topic } });
      return records.map(() => ({ ok: false, error }));
    }
    return this.carried(this.sendAll(topic, records, options));
  }

  /** What was accepted is carried to its end; nothing new is taken. */
  async close(): Promise<void> {
    this.closed = true;
    await Promise.allSettled(this.accepted);
    await this.wires.close();
  }

  private carried<T>(call: Promise<T>): Promise<T> {
    this.accepted.add(call);
    const forget = (): boolean => this.accepted.delete(call);
    call.then(forget, forget);
    return call;
  }

  private async sendAll(
    topic: string,
    records: readonly OutgoingRecord[],
    options: { timeoutMs?: number },
  ): Promise<readonly ProduceResult[]> {
    const deadlineMs = deadlineOf(options.timeoutMs);
    const results: ProduceResult[] = Array.from({ length: records.length });
    let partitions: number;
    try {
      partitions = await this.partitionCount(topic, deadlineMs);
    } catch (error) {
      return records.map(() => ({ ok: false, error }));
    }
    // One slot per partition; null keys of one call stay together, so that they make one request and not many.
    const keyless = this.roundRobin++ % partitions;
    const slots = new Map<number, number[]>();
    records.forEach((record, index) => {
      const partition = record.key === null ? keyless : partitionForKey(record.key, partitions);
      const slot = slots.get(partition);
      if (slot) slot.push(index);
      else slots.set(partition, [index]);
    });
    const sends: Promise<void>[] = [];
    for (const [partition, indices] of slots) {
      const target = { topic, partition };
      for (const chunk of this.chunks(indices, records)) {
        sends.push(this.sendChunk(target, chunk, records, results, deadlineMs));
      }
    }
    await Promise.all(sends);
    return results;
  }

  /** Splits by bytes; each part becomes one job. A record beyond the limit goes alone and gets the broker's verdict. */
  private chunks(indices: readonly number[], records: readonly OutgoingRecord[]): number[][] {
    const chunks: number[][] = [];
    let chunk: number[] = [];
    let bytes = 0;
    for (const index of indices) {
      const size = recordBytes(records[index] as OutgoingRecord);
      if (chunk.length > 0 && bytes + size > this.options.requestBytesMax) {
        chunks.push(chunk);
        chunk = [];
        bytes = 0;
      }
      chunk.push(index);
      bytes += size;
    }
    if (chunk.length > 0) chunks.push(chunk);
    return chunks;
  }

  /** Never rejects: every record gets its own result. A chunk refused as a whole for one bad record is halved. */
  private async sendChunk(
    target: TopicPartition,
    indices: readonly number[],
    records: readonly OutgoingRecord[],
    results: ProduceResult[],
    deadlineMs: number,
  ): Promise<void> {
    try {
      const batch = indices.map((index) => records[index] as OutgoingRecord);
      const { baseOffset, appendTimeMs } = await this.enqueue(target, batch, deadlineMs);
      indices.forEach((index, position) => {
        results[index] = { ok: true, record: { ...target, offset: baseOffset + BigInt(position), appendTimeMs } };
      });
    } catch (error) {
      const bad = error instanceof KafkaError && error.category === 'invalid_input';
      if (bad && indices.length > 1) {
        const middle = indices.length >> 1;
        await this.sendChunk(target, indices.slice(0, middle), records, results, deadlineMs);
        await this.sendChunk(target, indices.slice(middle), records, results, deadlineMs);
        return;
      }
      for (const index of indices) results[index] = { ok: false, error };
    }
  }

  private async enqueue(
    target: TopicPartition,
    records: readonly OutgoingRecord[],
    deadlineMs: number,
  ): Promise<{ baseOffset: bigint; appendTimeMs: number | null }> {
    const bytes = records.reduce((sum, record) => sum + recordBytes(record), 0);
    const room = this.room(bytes, deadlineMs, target);
    if (room) await room;
    try {
      return await new Promise((resolve, reject) => {
        const lane = this.lane(target);
        lane.jobs.push({ records, bytes, deadlineMs, maybeWritten: false, resolve, reject });
        if (!lane.running) void this.run(lane);
      });
    } finally {
      this.release(bytes);
    }
  }

  private lane(target: TopicPartition): Lane {
    const key = `${target.topic}/${target.partition}`;
    let lane = this.lanes.get(key);
    if (!lane) {
      lane = { target: { topic: target.topic, partition: target.partition }, jobs: [], running: false };
      this.lanes.set(key, lane);
    }
    return lane;
  }

  /** Backpressure: first come, first served, so the order of calls is the order of the log. Undefined = room now. */
  private room(bytes: number, deadlineMs: number, target: TopicPartition): Promise<void> | undefined {
    if (
      this.waiters.length === 0 &&
      (this.queuedBytes === 0 || this.queuedBytes + bytes <= this.options.queueBytesMax)
    ) {
      this.queuedBytes += bytes;
      return undefined;
    }
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => {
          this.waiters.splice(this.waiters.indexOf(waiter), 1);
          reject(new KafkaProduceError(FAULTS.queueFull, { indefinite: false, at: target }));
        },
        Math.max(0, deadlineMs - performance.now()),
      );
      const waiter = {
        bytes,
        admit: () => {
          clearTimeout(timer);
          this.queuedBytes += bytes;
          resolve();
        },
      };
      this.waiters.push(waiter);
    });
  }

  private release(bytes: number): void {
    this.queuedBytes -= bytes;
    for (let first = this.waiters[0]; first; first = this.waiters[0]) {
      if (this.queuedBytes > 0 && this.queuedBytes + first.bytes > this.options.queueBytesMax) return;
      this.waiters.shift();
      first.admit();
    }
  }

  private async run(lane: Lane): Promise<void> {
    lane.running = true;
    try {
      while (lane.jobs.length > 0) {
        const batch = this.takeBatch(lane);
        if (batch.length > 0) await this.deliver(lane.target, batch);
      }
    } finally {
      lane.running = false;
    }
  }

  /** What gathered since the last request, up to one request. Jobs whose time is up leave here, unsent. */
  private takeBatch(lane: Lane): Job[] {
    const nowMs = performance.now();
    const batch: Job[] = [];
    let bytes = 0;
    for (let job = lane.jobs[0]; job; job = lane.jobs[0]) {
      if (batch.length > 0 && bytes + job.bytes > this.options.requestBytesMax) break;
      lane.jobs.shift();
      if (job.deadlineMs <= nowMs) {
        job.reject(new KafkaProduceError(FAULTS.timeout, { indefinite: false, at: lane.target }));
        continue;
      }
      batch.push(job);
      bytes += job.bytes;
    }
    return batch;
  }

  /** Attempts until acknowledged, refused for good, or out of time. Every job is settled when it returns. */
  private async deliver(target: TopicPartition, batch: readonly Job[]): Promise<void> {
    let jobs = batch;
    for (let attempt = 1; jobs.length > 0; attempt++) {
      const outcome = await this.attempt(target, jobs);
      if (outcome.kind === 'written') {
        let baseOffset = outcome.baseOffset;
        for (const job of jobs) {
          job.resolve({ baseOffset, appendTimeMs: outcome.appendTimeMs });
          baseOffset += BigInt(job.records.length);
        }
        return;
      }
      const { fault, cause } = outcome;
      if (fault.indefinite) for (const job of jobs) job.maybeWritten = true;
      if (fault.category === 'invalid_input' && jobs.length > 1) {
        // One job's record spoils the request of its neighbours: from here on each goes alone.
        for (const job of jobs) await this.deliver(target, [job]);
        return;
      }
      const delayMs = Math.min(RETRY_DELAY_MS_MAX, RETRY_DELAY_MS_MIN * 2 ** Math.min(attempt - 1, 10));
      const retryAtMs = performance.now() + delayMs;
      const alive: Job[] = [];
      for (const job of jobs) {
        if (fault.retriable && job.deadlineMs > retryAtMs) alive.push(job);
        else job.reject(new KafkaProduceError(fault, { indefinite: job.maybeWritten, cause, at: target }));
      }
      jobs = alive;
      if (jobs.length === 0) return;
      if (attempt === 1 || attempt % 10 === 0) {
        this.options.log('warn', 'a produce request is tried again', { ...target, attempt, code: fault.code });
      }
      await sleepMs(delayMs);
    }
  }

  private async attempt(
    target: TopicPartition,
    jobs: readonly Job[],
  ): Promise<
    | { kind: 'written'; baseOffset: bigint; appendTimeMs: number | null }
    | { kind: 'failed'; fault: KafkaFault; cause: unknown }
  > {
    const latestMs = Math.max(...jobs.map((job) => job.deadlineMs));
    const timeoutMs = Math.max(100, Math.min(this.options.stallTimeoutMs, latestMs - performance.now()));
    let held: HeldWire<ProducerWire>;
    try {
      held = await withinMs(this.wires.acquire(), timeoutMs, lateConnection);
    } catch (error) {
      return { kind: 'failed', fault: this.faultOf(error), cause: error };
    }
    try {
      const records = jobs.length === 1 ? (jobs[0] as Job).records : jobs.flatMap((job) => job.records);
      const answer = await withinMs(
        this.wires.use(held, (wire) => wire.produce(target, records, timeoutMs)),
        timeoutMs + 500,
        () => new KafkaError('no answer to a produce request in time', FAULTS.timeout),
      );
      if (answer === null) return { kind: 'failed', fault: FAULTS.partitionMissing, cause: undefined };
      return { kind: 'written', ...answer };
    } catch (error) {
      const fault = this.faultOf(error);
      if (fault.indefinite && this.wires.drop(held)) {
        this.options.log('warn', 'producer connections are replaced after an unknown result', { code: fault.code });
      }
      return { kind: 'failed', fault, cause: error };
    }
  }

  private faultOf(error: unknown): KafkaFault {
    return error instanceof KafkaError ? error.fault : this.options.classify(error);
  }

  /** Cached for a minute, so that added partitions are used; a topic that is not there is asked for until the deadline. */
  private async partitionCount(topic: string, deadlineMs: number): Promise<number> {
    const cached = this.partitionCounts.get(topic);
    if (cached && performance.now() - cached.atMs < 60_000) return cached.count;
    const count = this.lookUpPartitionCount(topic, deadlineMs);
    this.partitionCounts.set(topic, { count, atMs: performance.now() });
    count.catch(() => this.partitionCounts.delete(topic));
    return count;
  }

  private async lookUpPartitionCount(topic: string, deadlineMs: number): Promise<number> {
    for (let attempt = 1; ; attempt++) {
      try {
        const { wire } = await withinMs(
          this.wires.acquire(),
          Math.max(1, deadlineMs - performance.now()),
          lateConnection,
        );
        return await wire.partitionCount(topic);
      } catch (cause) {
        const fault = this.faultOf(cause);
        const delayMs = backoffMs(attempt);
        if (!fault.retriable || performance.now() + delayMs > deadlineMs) {
          throw new KafkaProduceError(fault, { indefinite: false, cause, at: { topic } });
        }
        await sleepMs(delayMs);
      }
    }
  }
}

function lateConnection(): KafkaError {
  return new KafkaError('no connection in time', FAULTS.connectionRefused);
}

function deadlineOf(timeoutMs: number | undefined): number {
  return performance.now() + (timeoutMs ?? PRODUCE_TIMEOUT_MS);
}

/** Size of a record on the wire, estimated from above. */
function recordBytes(record: OutgoingRecord): number {
  let bytes = RECORD_OVERHEAD_BYTES + (record.value?.length ?? 0);
  if (record.key !== null) bytes += typeof record.key === 'string' ? Buffer.byteLength(record.key) : record.key.length;
  if (record.headers) {
    for (const name in record.headers) {
      const value = record.headers[name] as Buffer | string;
      bytes += name.length + 8 + (typeof value === 'string' ? Buffer.byteLength(value) : value.length);
    }
  }
  return bytes;
}
