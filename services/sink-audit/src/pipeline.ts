import { createHash } from 'node:crypto';
import { type DeadLetter, deadLetter } from '@tracehound/event-model';
import type { KafkaBatch, KafkaRecord, TopicPartition } from '@tracehound/kafka';
import { faultPoint } from '@tracehound/lifecycle';
import { type Outcome, Pipeline, settle, type VerdictCounter } from '@tracehound/pipeline';
import type { AuditRow } from './domain/audit-row.ts';
import { coverageOf, missingIn } from './domain/coverage.ts';
import { candidateOf, isDetected } from './domain/detected.ts';
import type { PartitionState } from './domain/partition-state.ts';
import { RowRefusedError } from './errors.ts';
import type { AppendOutcome, AuditStore, Failure, PartitionDraft, RecordDecoder } from './ports.ts';
import type { SinkReason } from './reasons.ts';
import { createCanonicaliseStage } from './stages/canonicalise.ts';
import { createConsumeStage } from './stages/consume.ts';
import type { DeadLetterEntry } from './stages/dead-letter.ts';
import { createDecodeStage } from './stages/decode.ts';

/** The stops of a record, in order. A Merkle log adds `appendLeaf` before `copy` and `checkpoint` after `commitStore`. */
export const SINK_STOPS = ['consume', 'decode', 'canonicalise', 'copy', 'commitStore', 'commitOffset'] as const;

export type SinkPipelineDeps = {
  readonly decoder: RecordDecoder;
  readonly store: Pick<AuditStore, 'refusedRows'>;
  /** Durable when it resolves; never for one offset twice within an assignment. */
  readonly deadLetter: (state: PartitionState, entries: readonly DeadLetterEntry[]) => Promise<void>;
  /** One transaction with other partitions: compare-and-swap of the offset, COPY of the rows, COMMIT. */
  readonly commitStore: (draft: PartitionDraft) => Promise<AppendOutcome>;
  /** `security.event-detected` for what is stored and pending. */
  readonly publish: (state: PartitionState) => Promise<void>;
  /** A hint for lag tools; retried inside. */
  readonly commitOffset: (partition: TopicPartition, offset: bigint) => void;
  readonly counter: VerdictCounter;
  readonly severityMin: number;
  /** Rows of one partition in one transaction at most. */
  readonly batchRowsMax: number;
  readonly onStored: (state: PartitionState, stored: StoredBatch) => void;
};

export type StoredBatch = {
  readonly rows: readonly AuditRow[];
  readonly failures: number;
  readonly markers: number;
  readonly gaps: number;
  /** Offsets in those gaps. */
  readonly missing: bigint;
  readonly duplicates: number;
};

/** `done`, or the partition is no longer where this process believes: the owner must ask the store. */
export type HandleResult = 'done' | 'fenced' | 'moved';

type RecordOutcome = Outcome<KafkaRecord, AuditRow>;

/**
 * The way of a record from Kafka to PostgreSQL:
 *
 *     consume -> decode -> canonicalise -> copy -> commitStore -> (publish) -> commitOffset
 *
 * `handle` resolves when every record of the batch is durable as a row or as a dead letter with a row of failure.
 * Rejecting means: nothing is acknowledged, give the same batch again. Calls for one partition must not overlap.
 */
export function createSinkPipeline(deps: SinkPipelineDeps) {
  async function handle(batch: KafkaBatch, state: PartitionState): Promise<HandleResult> {
    await deps.publish(state); // Left over when Kafka refused it after an earlier commit.
    for (let from = 0; from < batch.records.length; from += deps.batchRowsMax) {
      const result = await storeSlice(batch.records.slice(from, from + deps.batchRowsMax), state);
      if (result !== 'done') return result;
      faultPoint('s:after-commit-store');
      await deps.publish(state);
      faultPoint('s:after-publish');
    }
    faultPoint('s:before-commit-offset');
    deps.commitOffset(state.source, state.nextOffset);
    return 'done';
  }

  async function storeSlice(records: readonly KafkaRecord[], state: PartitionState): Promise<HandleResult> {
    const stages = Pipeline.from<KafkaRecord>('sink-audit')
      .each(createConsumeStage(state))
      .each(createDecodeStage(deps))
      .each(createCanonicaliseStage(state.intake.kind));
    let outcomes: readonly RecordOutcome[] = await stages.run(records);
    faultPoint('s:after-decode');
    const effects = {
      counter: deps.counter,
      deadLetter: (entries: readonly DeadLetterEntry[]) => deps.deadLetter(state, entries),
    };
    // A retry is settled at once: it throws, and the same batch comes again.
    if (outcomes.some(({ verdict }) => verdict.kind === 'retry')) await settle(outcomes, effects);
    for (;;) {
      const draft = draftOf(records, outcomes, state);
      if (draft.next === draft.expected) break; // Nothing but redeliveries.
      await deps.deadLetter(state, deadLettersIn(outcomes));
      faultPoint('s:before-copy');
      try {
        const stored = await deps.commitStore(draft);
        if (stored.kind !== 'committed') return stored.kind;
        advance(state, draft, stored.firstCopies);
        break;
      } catch (error) {
        if (!(error instanceof RowRefusedError)) throw error;
        outcomes = withRefused(outcomes, draft, await deps.store.refusedRows(draft), error);
      }
    }
    await settle(outcomes, effects); // Dead letters are durable by now, so this only counts.
    state.deadLettered.clear();
    return 'done';
  }

  function advance(state: PartitionState, draft: PartitionDraft, firstCopies: readonly (bigint | null)[]): void {
    const due = draft.rows
      .map((row, index) => candidateOf(row, firstCopies[index] ?? null))
      .filter((candidate) => candidate !== null && isDetected(candidate, deps.severityMin));
    state.nextOffset = draft.next;
    state.publishedOffsetStored = draft.publishedOffset;
    state.pending = [...state.pending, ...due.filter((candidate) => candidate !== null)];
    deps.onStored(state, {
      rows: draft.rows,
      failures: draft.failures.length,
      markers: draft.markers,
      gaps: draft.gaps.length,
      missing: missingIn(draft.gaps),
      duplicates: firstCopies.filter((copy) => copy !== null).length,
    });
  }

  return { stops: SINK_STOPS, handle };
}

/** Everything the store must learn about these records, in one piece. */
function draftOf(
  records: readonly KafkaRecord[],
  outcomes: readonly RecordOutcome[],
  state: PartitionState,
): PartitionDraft {
  const coverage = coverageOf(records, state.nextOffset);
  return {
    id: state.id,
    fence: state.fence,
    expected: state.nextOffset,
    next: coverage.next,
    publishedOffset: state.publishedOffset,
    rows: outcomes.flatMap(({ verdict }) => (verdict.kind === 'ok' ? [verdict.value] : [])),
    failures: deadLettersIn(outcomes).map(failureOf),
    gaps: coverage.gaps,
    markers: outcomes.filter(({ verdict }) => verdict.kind === 'drop' && verdict.reason === 'marker').length,
  };
}

function deadLettersIn(outcomes: readonly RecordOutcome[]): readonly DeadLetterEntry[] {
  return outcomes.flatMap(({ item, stage, verdict }) =>
    verdict.kind === 'deadLetter' ? [{ item, stage, verdict }] : [],
  );
}

function failureOf({ item, stage, verdict }: DeadLetterEntry): Failure {
  const raw = item.value ?? Buffer.alloc(0);
  return {
    offset: item.offset,
    recordedAtMs: item.appendTimeMs,
    stage,
    reason: verdict.reason as SinkReason, // Every stage above takes its reasons from that list.
    detail: verdict.detail,
    rawSha256: createHash('sha256').update(raw).digest(),
    rawBytes: raw.length,
  };
}

/** The same outcomes with the refused rows as dead letters of `copy`. Throws when none was found: then it is no row's fault. */
function withRefused(
  outcomes: readonly RecordOutcome[],
  draft: PartitionDraft,
  refused: readonly number[],
  error: RowRefusedError,
): readonly RecordOutcome[] {
  if (refused.length === 0) throw error;
  const offsets = new Set(refused.map((index) => draft.rows[index]?.origin.offset));
  const verdict: DeadLetter = deadLetter('row_refused', `SQLSTATE ${String(error.fields['sqlstate'])}`);
  return outcomes.map((outcome) =>
    outcome.verdict.kind === 'ok' && offsets.has(outcome.item.offset)
      ? { ...outcome, stage: 'copy', verdict }
      : outcome,
  );
}
