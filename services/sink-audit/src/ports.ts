import type { DeadLetterRecordInput, SecurityEventDetected, Verdict } from '@tracehound/event-model';
import type { AuditRow, PartitionId } from './domain/audit-row.ts';
import type { Gap } from './domain/coverage.ts';
import type { DetectedCandidate } from './domain/detected.ts';
import type { NamedRecord } from './domain/projection.ts';
import type { SinkReason } from './reasons.ts';

/** A record that could not become a row. Its bytes go to the dead-letter topic; the store keeps their hash. */
export type Failure = {
  readonly offset: bigint;
  readonly recordedAtMs: number;
  readonly stage: string;
  readonly reason: SinkReason;
  readonly detail: string;
  readonly rawSha256: Buffer;
  readonly rawBytes: number;
};

/** Everything between `expected` and `next` of one partition: each offset is a row, a failure, a marker or in a gap. */
export type PartitionDraft = {
  readonly id: PartitionId;
  readonly fence: bigint;
  readonly expected: bigint;
  readonly next: bigint;
  readonly publishedOffset: bigint;
  readonly rows: readonly AuditRow[];
  readonly failures: readonly Failure[];
  readonly gaps: readonly Gap[];
  readonly markers: number;
};

/**
 * `committed`: durable; `firstCopies` has one entry per row, the offset of the first copy or null.
 * `fenced`: another owner has taken the partition. `moved`: the fence is ours but the offset is not the expected one:
 * an earlier commit whose answer was lost went through. Nothing of the draft was written in both cases.
 */
export type AppendOutcome =
  | { readonly kind: 'committed'; readonly firstCopies: readonly (bigint | null)[] }
  | { readonly kind: 'fenced' }
  | { readonly kind: 'moved' };

export type Position = {
  readonly fence: bigint;
  readonly nextOffset: bigint;
  readonly publishedOffset: bigint;
  /** Set when this topic id was never seen while the topic's name was: deleted and made again (X5). */
  readonly previous: { readonly topicId: string; readonly nextOffset: bigint } | null;
};

/**
 * Where audit rows live. Rows, failures, gaps and the offset of a partition move together or not at all, by
 * compare-and-swap on (next offset, fence), so that each record is stored exactly once per (topic id, partition,
 * offset) whoever else writes (X15). Adapters: PostgreSQL, memory; one contract suite for both.
 */
export type AuditStore = {
  /** Makes what the rows of the next months need. Idempotent; safe from several processes. Returns what was made. */
  ensurePartitions(): Promise<readonly string[]>;
  /** Takes the partition over: a new fence, higher than all before. Every older owner's `append` fails from now on. */
  acquire(id: PartitionId, owner: string): Promise<Position>;
  /**
   * One transaction for all drafts, at most one per partition; one outcome each, same order. Rejects with
   * `RowRefusedError` when the content of a row is refused for good, with a retriable error when the store is away.
   */
  append(drafts: readonly PartitionDraft[]): Promise<readonly AppendOutcome[]>;
  /** Indexes of the rows that the store refuses for their content. Writes nothing. */
  refusedRows(draft: PartitionDraft): Promise<readonly number[]>;
  /** Stored events in `[from, until)` that are no copies, in log order. */
  eventsBetween(id: PartitionId, range: { from: bigint; until: bigint }): Promise<readonly DetectedCandidate[]>;
  /** Remembers that everything below is published. False = another owner has the partition, nothing written. */
  markPublished(id: PartitionId, mark: { fence: bigint; publishedOffset: bigint }): Promise<boolean>;
  /** Proves that the store answers and may be written. */
  ping(): Promise<void>;
};

/** Reads record values. `retry` only when the registry is away. */
export type RecordDecoder = {
  decode(value: Buffer): DecodeAnswer | Promise<DecodeAnswer>;
};

export type DecodeAnswer = Verdict<{ readonly schemaId: number; readonly decoded: NamedRecord }, SinkReason>;

/** Writes record values for the topics the sink produces to. */
export type RecordEncoder = {
  detected(record: SecurityEventDetected): Promise<Buffer>;
  deadLetter(record: DeadLetterRecordInput): Promise<Buffer>;
};

/** What the sink asks about a partition when it takes it over. */
export type TopicFacts = {
  /** Id of the topic as it is now; asked each time, because it changes when the topic is made again. */
  topicId(topic: string): Promise<string>;
  /** First kept and next offset. */
  bounds(topic: string, partition: number): Promise<{ low: bigint; high: bigint }>;
};

/** Time is an argument, so that tests own it. */
export type Clock = {
  /** Milliseconds UTC, for what is shown; may step. */
  now(): number;
  /** Milliseconds since some instant, for durations; never steps. */
  steadyNow(): number;
  /** Calls `work` once after `delayMs`; the answer cancels it. */
  after(delayMs: number, work: () => void): () => void;
};
