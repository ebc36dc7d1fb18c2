import type { RuleActivation } from '@tracehound/event-model';
import { markerKindOf, NO_WATERMARK_MS } from '@tracehound/event-model';
import type { KafkaRecord } from '@tracehound/kafka';
import { type CoveredRange, type RoutedMatch, type SourceRef, watermarkOf } from './covered-range.ts';

/** What stage A has covered of one source partition in this session. */
export type SourceProgress = { readonly source: SourceRef; readonly next: bigint; readonly watermarkMs: number };

/** A session begins at the committed offset with no watermark: stage B keeps the largest it has heard. */
export function beginSource(source: SourceRef, next: bigint): SourceProgress {
  return { source, next, watermarkMs: NO_WATERMARK_MS };
}

/** A record together with the activation its append time selects (X7). */
export type JudgedRecord = { readonly record: KafkaRecord; readonly activation: RuleActivation };

/**
 * Cuts a batch into ranges of one activation each and gives every range its watermark (X4). `matchesAt` holds what
 * the records of the batch matched, by offset. The ranges cover the batch without a gap, from `progress.next` on;
 * `after` becomes the progress once all of it is acknowledged.
 */
export function coverBatch(
  progress: SourceProgress,
  judged: readonly JudgedRecord[],
  matchesAt: ReadonlyMap<bigint, readonly RoutedMatch[]>,
): { readonly ranges: readonly CoveredRange[]; readonly after: SourceProgress } {
  const ranges: CoveredRange[] = [];
  let { next, watermarkMs } = progress;
  for (let start = 0; start < judged.length; ) {
    const { activation } = judged[start] as JudgedRecord;
    let end = start;
    let highestAppendTimeMs = Number.NEGATIVE_INFINITY;
    let endOfInput = false;
    const matches: RoutedMatch[] = [];
    let to = next;
    for (; end < judged.length; end++) {
      const { record, activation: current } = judged[end] as JudgedRecord;
      if (current !== activation) break;
      highestAppendTimeMs = Math.max(highestAppendTimeMs, record.appendTimeMs);
      if (markerKindOf(record) === 'end_of_input') endOfInput = true;
      matches.push(...(matchesAt.get(record.offset) ?? []));
      to = record.offset + 1n;
    }
    const before = watermarkMs;
    watermarkMs = watermarkOf(activation, { highestAppendTimeMs, beforeMs: before, endOfInput });
    ranges.push({
      source: progress.source,
      depth: 0,
      activation,
      from: next,
      to,
      watermarkBeforeMs: before,
      watermarkMs,
      endOfInput,
      matches,
    });
    next = to;
    start = end;
  }
  return { ranges, after: { source: progress.source, next, watermarkMs } };
}
