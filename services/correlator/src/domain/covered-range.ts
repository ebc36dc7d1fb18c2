import type { Match, MatchBatch, RuleActivation } from '@tracehound/event-model';
import { END_OF_INPUT_WATERMARK_MS, invariant, NO_WATERMARK_MS } from '@tracehound/event-model';

/** A source partition as stage A knows it. Marks are keyed by topic id (X5). */
export type SourceRef = { readonly topic: string; readonly topicId: string; readonly partition: number };

/** A match and the matches partition it goes to. */
export type RoutedMatch = { readonly target: number; readonly match: Match };

/** Everything there is to say about `[from, to)` of one source under one activation. */
export type CoveredRange = {
  readonly source: SourceRef;
  /** 0: an intake topic, read by stage A. More: hits of correlations of the depth below (X11). */
  readonly depth: number;
  readonly activation: Pick<RuleActivation, 'activation_id' | 'ruleset_id' | 'sources_version'>;
  readonly from: bigint;
  readonly to: bigint;
  /** Watermark before and after the range, ms; `watermarkMs` never below `watermarkBeforeMs`. */
  readonly watermarkBeforeMs: number;
  readonly watermarkMs: number;
  readonly endOfInput: boolean;
  /** In source order, then rule order. */
  readonly matches: readonly RoutedMatch[];
};

/** X4: highest append time covered minus allowed lateness minus clock allowance; the largest one after the end. */
export function watermarkOf(
  activation: Pick<RuleActivation, 'lateness_ms' | 'clock_allowance_ms'>,
  covered: { readonly highestAppendTimeMs: number; readonly beforeMs: number; readonly endOfInput: boolean },
): number {
  if (covered.endOfInput) return END_OF_INPUT_WATERMARK_MS;
  if (!Number.isFinite(covered.highestAppendTimeMs)) return covered.beforeMs;
  const claimMs = covered.highestAppendTimeMs - activation.lateness_ms - activation.clock_allowance_ms;
  return Math.max(covered.beforeMs, claimMs, NO_WATERMARK_MS);
}

/** A record must stay below the broker's 1 MiB with framing, keys and headers: 900 kB of worst-case content. */
export const MATCH_BATCH_BYTES_MAX = 900_000;

/** Fixed fields of a match in Avro: nine numbers of at most ten bytes and the lengths of its texts. */
const MATCH_BYTES_FIXED = 120;

/**
 * The records of one range: a list per matches partition, in order, never empty (an empty record is the tick).
 * Each list covers `[from, to)` without a gap; `prev_to` of a record is `to` of the one before it. Where a list is
 * cut for size, only its last record carries the new watermark: the matches of a later record may be older than it.
 * A cut never divides the matches of one source offset, but those of chains: one tick may give any number of hits, and a copy
 * of one that is not below the mark is known by its id.
 */
export function packRange(
  range: CoveredRange,
  options: { readonly targets: number; readonly clusterId: string; readonly bytesMax?: number },
): readonly (readonly MatchBatch[])[] {
  const perTarget: Match[][] = Array.from({ length: options.targets }, () => []);
  for (const { target, match } of range.matches) {
    const list = perTarget[target];
    invariant(list !== undefined, 'a match names a partition that does not exist', { target });
    list.push(match);
  }
  return perTarget.map((matches) => packTarget(range, matches, options));
}

function packTarget(
  range: CoveredRange,
  matches: readonly Match[],
  options: { readonly clusterId: string; readonly bytesMax?: number },
): readonly MatchBatch[] {
  const bytesMax = options.bytesMax ?? MATCH_BATCH_BYTES_MAX;
  const cuts: { to: number; matches: Match[] }[] = [];
  let current: Match[] = [];
  let bytes = 0;
  for (const match of matches) {
    const size = bytesAtMost(match);
    const last = current.at(-1);
    const mayCut = range.depth > 0 || last?.source_offset !== match.source_offset;
    if (last !== undefined && bytes + size > bytesMax && mayCut) {
      cuts.push({ to: match.source_offset, matches: current });
      current = [];
      bytes = 0;
    }
    current.push(match);
    bytes += size;
  }
  cuts.push({ to: safeOffset(range.to), matches: current });

  let from = safeOffset(range.from);
  return cuts.map((cut, index) => {
    const isLast = index === cuts.length - 1;
    const batch: MatchBatch = {
      schema_rev: 1,
      cluster_id: options.clusterId,
      src_topic: range.source.topic,
      src_topic_id: range.source.topicId,
      src_partition: range.source.partition,
      from,
      to: cut.to,
      prev_to: from,
      watermark: isLast ? range.watermarkMs : range.watermarkBeforeMs,
      sources_version: range.activation.sources_version,
      activation_id: range.activation.activation_id,
      ruleset_id: range.activation.ruleset_id,
      depth: range.depth,
      end_of_input: isLast && range.endOfInput,
      matches: cut.matches,
    };
    from = cut.to;
    return batch;
  });
}

/** Three bytes per UTF-16 unit is the most UTF-8 needs. */
function bytesAtMost(match: Match): number {
  const texts =
    match.organization_id.length +
    match.group_key.length +
    match.event_id.length +
    (match.value?.length ?? 0) +
    (match.source_instance?.length ?? 0);
  return MATCH_BYTES_FIXED + 3 * texts;
}

/** Avro carries offsets as numbers; 2^53 records are 28,000 years at 10,000 per second. */
export function safeOffset(offset: bigint): number {
  const value = Number(offset);
  invariant(Number.isSafeInteger(value), 'an offset is beyond the exact range of numbers', { offset });
  return value;
}
