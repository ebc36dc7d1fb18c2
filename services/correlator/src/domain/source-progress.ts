import type { RuleActivation } from '@tracehound/event-model';
import { invariant, markerKindOf, NO_WATERMARK_MS } from '@tracehound/event-model';
import type { KafkaRecord } from '@tracehound/kafka';
import { type CoveredRange, type RoutedMatch, type SourceRef, watermarkOf } from './covered-range.ts';

/** What stage A has covered of one source partition in this session. */
export type SourceProgress = { readonly source: SourceRef; readonly next: bigint; readonly watermarkMs: number };

/** A session begins at the committed offset with no watermark: stage B keeps the largest it has heard. */
export function beginSource(source: SourceRef, next: bigint): SourceProgress {
  return { source, next, watermarkMs: NO_WATERMARK_MS };
}

/** What a record matched. */
type Matched = { readonly offset: bigint; readonly matches: readonly RoutedMatch[] };

/** A batch of one source partition behind `match`. */
export type DetectedBatch = {
  /** In order of their offsets; so are those of `matched`. */
  readonly records: readonly KafkaRecord[];
  readonly matched: readonly Matched[];
  /** The activation that an append time selects (X7). */
  readonly activationAt: (appendTimeMs: number) => RuleActivation;
};

/**
 * Cuts a batch into ranges of one activation each and gives every range its watermark (X4). `matched` is what the records of the
 * batch matched, in their order, records without a match left out or not. The ranges cover the batch without a gap, from
 * `progress.next` on; `after` becomes the progress once all of it is acknowledged.
 */
export function coverBatch(
  progress: SourceProgress,
  { records, matched, activationAt }: DetectedBatch,
): { readonly ranges: readonly CoveredRange[]; readonly after: SourceProgress } {
  const ranges: CoveredRange[] = [];
  let { next, watermarkMs } = progress;
  let taken = 0;
  for (let start = 0; start < records.length; ) {
    const activation = activationAt((records[start] as KafkaRecord).appendTimeMs);
    let end = start;
    let highestAppendTimeMs = Number.NEGATIVE_INFINITY;
    let endOfInput = false;
    for (; end < records.length; end++) {
      const record = records[end] as KafkaRecord;
      if (activationAt(record.appendTimeMs) !== activation) break;
      highestAppendTimeMs = Math.max(highestAppendTimeMs, record.appendTimeMs);
      if (markerKindOf(record) === 'end_of_input') endOfInput = true;
    }
    const from = next;
    next = (records[end - 1] as KafkaRecord).offset + 1n;
    const matches: RoutedMatch[] = [];
    for (; taken < matched.length && (matched[taken] as Matched).offset < next; taken++) {
      for (const match of (matched[taken] as Matched).matches) matches.push(match);
    }
    const before = watermarkMs;
    watermarkMs = watermarkOf(activation, { highestAppendTimeMs, beforeMs: before, endOfInput });
    ranges.push({
      source: progress.source,
      depth: 0,
      activation,
      from,
      to: next,
      watermarkBeforeMs: before,
      watermarkMs,
      endOfInput,
      matches,
    });
    start = end;
  }
  invariant(taken === matched.length, 'a match is of no record of the batch', { taken, matched: matched.length });
  return { ranges, after: { source: progress.source, next, watermarkMs } };
}
