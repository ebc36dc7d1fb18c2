/**
 * Both ways through the correlator, each on half a page.
 *
 * Stage A `consume, decode, match, repartition, commitOffset`: one batch of one source partition becomes findings,
 * late events, dead letters, and one range of matches and time for every partition of security.matches.
 *
 * Stage B `consume, decode, deduplicate, window, evaluate, flush, emit, commitOffset`: one batch of one matches
 * partition becomes state in Redis and, only after that, records on security.alerts. `deduplicate`, `window` and
 * `evaluate` are the pure engine of `@tracehound/correlation`, one synchronous call per record.
 */
import type { AvroCodec } from '@tracehound/avro';
import { type DeadLetter, type DetectionFinding, deadLetter, type LateEvent } from '@tracehound/event-model';
import type { KafkaRecord } from '@tracehound/kafka';
import { type DeadLetterLimit, type Outcome, Pipeline, settle, type VerdictCounter } from '@tracehound/pipeline';
import type { MatchesRecord, PartitionOwner } from './domain/partition-owner.ts';
import type { SourceProgress } from './domain/source-progress.ts';
import { createConsumeStage } from './stages/consume.ts';
import { createDecodeStage } from './stages/decode.ts';
import type { FlushPolicy } from './stages/flush.ts';
import { createMatchStage, type MatchedRecord, type MatchStageDeps } from './stages/match.ts';
import { createConsumeMatchesStage, createDecodeMatchesStage } from './stages/read-matches.ts';
import { createRepartition, type RepartitionDeps } from './stages/repartition.ts';

type DeadLetters = (entries: readonly { item: KafkaRecord; stage: string; verdict: DeadLetter }[]) => Promise<void>;

export type DetectPathDeps = MatchStageDeps &
  RepartitionDeps & {
    readonly codec: Pick<AvroCodec, 'encode' | 'decodeEvent'>;
    readonly counter: VerdictCounter;
    readonly deadLetters: DeadLetters;
    readonly deadLetterLimit: Pick<DeadLetterLimit, 'admit'>;
    readonly late: (events: readonly LateEvent[]) => Promise<void>;
    readonly publishFindings: (findings: readonly DetectionFinding[]) => Promise<void>;
  };

/** A batch of one source partition; the answer is the progress that may be committed. */
export type DetectPath = (progress: SourceProgress, records: readonly KafkaRecord[]) => Promise<SourceProgress>;

/**
 * Records of a batch that pass the stages together. A: what was read of them is garbage before the next are read. A fetch brings some
 * 2,000 of each partition, and a collector that meets them all alive copies them. They are settled as one batch all the same. B: cold groups they need are read from
 * the store at once.
 */
const SLICE = 256;

/** Stage A for one source partition. When it rejects, nothing may be committed and the same batch comes again. */
export function createDetectPath(deps: DetectPathDeps): DetectPath {
  const pipeline = Pipeline.from<KafkaRecord>('detect')
    .each(createConsumeStage())
    .each(createDecodeStage(deps.codec))
    .each(createMatchStage(deps));
  const repartition = createRepartition(deps);

  return async function detect(progress, records) {
    const outcomes: Outcome<KafkaRecord, MatchedRecord>[] = [];
    for (let at = 0; at < records.length; at += SLICE) {
      for (const outcome of await pipeline.run(records.slice(at, at + SLICE))) outcomes.push(outcome);
    }
    deps.faultPoint('a:after-decode');
    const matched = await settle(outcomes, {
      counter: deps.counter,
      deadLetter: deps.deadLetters,
      deadLetterLimit: deps.deadLetterLimit,
      // Only `match` redirects, and only late events.
      lanes: { late: (entries) => deps.late(entries.map(({ verdict }) => verdict.value as LateEvent)) },
    });
    await deps.deadLetters(matched.filter((item) => item.failedRules.length > 0).flatMap(ruleFailures));
    await deps.publishFindings(matched.filter((item) => item.findings.length > 0).flatMap((item) => item.findings));
    return repartition(progress, records, matched);
  };
}

/**
 * A copy of the event per rule that threw on it, so that what the rule may have missed can be redriven (E3). The event itself
 * went on with the other rules, so this is no verdict and is counted apart.
 */
function ruleFailures({ failedRules, record }: MatchedRecord) {
  return failedRules.map((ruleId) => ({
    item: record,
    stage: 'match',
    verdict: deadLetter('rule_failed', `rule ${ruleId} failed; the event went on with the others`),
  }));
}

export type CorrelatePathDeps = {
  readonly owner: PartitionOwner;
  readonly codec: Pick<AvroCodec, 'decode'>;
  readonly counter: VerdictCounter;
  readonly deadLetters: DeadLetters;
  readonly deadLetterLimit: Pick<DeadLetterLimit, 'admit'>;
  /** Resolves when the rules and sources a record names are known to the engine. */
  readonly ensureRules: (record: MatchesRecord) => Promise<void> | undefined;
  readonly flushPolicy: FlushPolicy;
  /** Lets timers, heartbeats and answers through after a stretch of pure computation; cheap when it was short. */
  readonly breathe: () => Promise<void> | undefined;
};

/** A batch of one matches partition. Rejects with `OwnershipLostError` when the partition has to be acquired anew. */
export type CorrelatePath = (records: readonly KafkaRecord[]) => Promise<void>;

/** Stage B for one owned partition. Alerts leave only after the flush that holds them has succeeded (X8, X9). */
export function createCorrelatePath(deps: CorrelatePathDeps): CorrelatePath {
  const { owner, flushPolicy } = deps;
  const pipeline = Pipeline.from<KafkaRecord>('correlate')
    .each(createConsumeMatchesStage(owner))
    .each(createDecodeMatchesStage(deps.codec));

  return async function correlate(records) {
    if (records[0] !== undefined) owner.begins(records[0].offset);
    await owner.emit();
    const batches = await settle(await pipeline.run(records), {
      counter: deps.counter,
      deadLetter: deps.deadLetters,
      deadLetterLimit: deps.deadLetterLimit,
    });
    for (let at = 0; at < batches.length; at += SLICE) {
      const slice = batches.slice(at, at + SLICE);
      for (const record of slice) await deps.ensureRules(record);
      await owner.prepare(slice);
      for (const record of slice) {
        owner.apply(record);
        await deps.breathe();
        if (flushPolicy.isDue(owner)) await flushAndEmit(owner, flushPolicy);
      }
    }
    const last = records.at(-1);
    if (last !== undefined) owner.advanceTo(last.offset + 1n);
    if (flushPolicy.isDueAtEnd(owner)) await flushAndEmit(owner, flushPolicy);
  };
}

/** `flush, emit, commitOffset`: also called by the timer of an idle partition. */
export async function flushAndEmit(owner: PartitionOwner, policy: FlushPolicy): Promise<void> {
  await policy.gap();
  await owner.flush();
  policy.flushed();
  await owner.emit();
  if (policy.isCommitDue()) {
    await owner.commit();
    policy.committed();
  }
}
