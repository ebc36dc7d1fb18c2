import type { ChainMatch, PartitionEngine } from '@tracehound/correlation';
import { END_OF_INPUT_WATERMARK_MS, type MatchBatch, NO_WATERMARK_MS } from '@tracehound/event-model';
import { packRange, type RoutedMatch, type SourceRef } from './covered-range.ts';

/** A matches record and the partition it goes to. */
export type ChainRecord = { readonly target: number; readonly batch: MatchBatch };

export type ChainLaneDeps = {
  readonly clusterId: string;
  /** The partition of security.matches whose hits these are. */
  readonly source: SourceRef;
  /** Partitions of security.matches. */
  readonly targets: number;
  readonly targetOf: (chain: ChainMatch) => number;
  readonly engine: Pick<PartitionEngine, 'chainClaims' | 'markOf'>;
};

/** How far a claim moves before it is worth records of its own. */
const CLAIM_STEP_MS = 250;

type Hit = { readonly offset: number; readonly chain: ChainMatch };
type Said = { to: number; claimMs: number };

/**
 * X11: what one matches partition gives to the correlations that stand on its own. Per depth a stream of records to *every* matches
 * partition, as stage A writes them: hits of the inner correlations first, then a claim. Offsets are those of the matches record
 * whose application gave the hit, so a hit given again after a rebuild meets the mark of its receiver (X5) and its own id (X6).
 * Not durable by itself: what `take` returns must go into the flush that makes the offsets before `next` durable.
 */
export class ChainLane {
  private readonly deps: ChainLaneDeps;
  private readonly said = new Map<number, Said>();
  private hits: Hit[] = [];
  private latest: MatchBatch | null = null;

  constructor(deps: ChainLaneDeps) {
    this.deps = deps;
  }

  /** Hits that no record holds yet. */
  get size(): number {
    return this.hits.length;
  }

  add(offset: number, chain: ChainMatch): void {
    this.hits.push({ offset, chain });
  }

  /** The record whose activation the next ones name. */
  applied(batch: MatchBatch): void {
    this.latest = batch;
  }

  /** Records for everything below `next`, in the order in which they must be produced; none when nothing is new. */
  take(next: number): readonly ChainRecord[] {
    const { latest } = this;
    if (latest === null) return [];
    const hits = Map.groupBy(this.hits, ({ chain }) => chain.depth);
    this.hits = [];
    return this.deps.engine
      .chainClaims()
      .flatMap((claimMs, below) =>
        this.takeDepth(below + 1, { next, claimMs, latest, hits: hits.get(below + 1) ?? [] }),
      );
  }

  private takeDepth(
    depth: number,
    given: {
      readonly next: number;
      readonly claimMs: number;
      readonly latest: MatchBatch;
      readonly hits: readonly Hit[];
    },
  ): readonly ChainRecord[] {
    const { next, claimMs, latest, hits } = given;
    const { source, targets, clusterId } = this.deps;
    const before = this.said.get(depth) ?? this.resumed(depth);
    if (hits.length === 0 && claimMs < before.claimMs + CLAIM_STEP_MS) return [];
    const runs = runsOf(hits);
    if (runs.length === 0) runs.push({ rulesetId: latest.ruleset_id, hits: [] });
    const records: ChainRecord[] = [];
    let from = before.to;
    for (const [index, run] of runs.entries()) {
      const following = runs[index + 1]?.hits[0]?.offset;
      const to = following ?? next;
      const range = {
        source,
        depth,
        activation: { ...latest, ruleset_id: run.rulesetId },
        from: BigInt(from),
        to: BigInt(to),
        watermarkBeforeMs: before.claimMs,
        watermarkMs: following === undefined ? claimMs : before.claimMs,
        endOfInput: following === undefined && claimMs === END_OF_INPUT_WATERMARK_MS,
        matches: run.hits.map((hit) => this.routed(hit)),
      };
      for (const [target, batches] of packRange(range, { targets, clusterId }).entries()) {
        for (const batch of batches) records.push({ target, batch });
      }
      from = to;
    }
    this.said.set(depth, { to: next, claimMs });
    return records;
  }

  private routed({ offset, chain }: Hit): RoutedMatch {
    return { target: this.deps.targetOf(chain), match: { ...chain.match, source_offset: offset } };
  }

  /**
   * Where a new owner goes on. All that was said before is acknowledged by every partition, this one too, so its own mark is no
   * further than any other's; it may be less, which costs nothing (X5).
   */
  private resumed(depth: number): Said {
    const { topicId, partition } = this.deps.source;
    return { to: this.deps.engine.markOf({ topic_id: topicId, partition }, depth) ?? 0, claimMs: NO_WATERMARK_MS };
  }
}

/** Neighbours of one rule set: a record names one. */
function runsOf(hits: readonly Hit[]): { rulesetId: string; hits: Hit[] }[] {
  const runs: { rulesetId: string; hits: Hit[] }[] = [];
  for (const hit of hits) {
    const last = runs.at(-1);
    if (last?.rulesetId === hit.chain.rulesetId) last.hits.push(hit);
    else runs.push({ rulesetId: hit.chain.rulesetId, hits: [hit] });
  }
  return runs;
}
