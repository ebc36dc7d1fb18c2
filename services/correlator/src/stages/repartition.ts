import type { AvroCodec } from '@tracehound/avro';
import type { SpanContext } from '@tracehound/event-model';
import type { KafkaRecord } from '@tracehound/kafka';
import { packRange } from '../domain/covered-range.ts';
import type { MatchWriter } from '../domain/match-writer.ts';
import { coverBatch, type SourceProgress } from '../domain/source-progress.ts';
import type { MatchedRecord, MatchStageDeps } from './match.ts';

export type RepartitionDeps = {
  readonly codec: Pick<AvroCodec, 'encode'>;
  readonly writer: Pick<MatchWriter, 'append'>;
  readonly clusterId: string;
  /** Partitions of security.matches. */
  readonly targets: number;
  readonly rulesAt: MatchStageDeps['rulesAt'];
  readonly faultPoint: (name: string) => void;
  /** The span this batch is worked on in; travels beside records with matches, never inside them. */
  readonly currentSpan?: () => SpanContext | null;
  readonly onMatches?: (matches: number, records: number) => void;
};

/**
 * Writes to *every* matches partition what a batch of one source gave: the matches, then the watermark (X4). A
 * partition that gets no match gets the tick. Resolves with the new progress when all partitions have acknowledged;
 * when it rejects, the batch comes again from the old progress and stage B drops what it has already seen (X5).
 */
export function createRepartition(
  deps: RepartitionDeps,
): (
  progress: SourceProgress,
  records: readonly KafkaRecord[],
  matched: readonly MatchedRecord[],
) => Promise<SourceProgress> {
  return async function repartition(progress, records, matched) {
    const { ranges, after } = coverBatch(progress, {
      records,
      matched,
      activationAt: (appendTimeMs) => deps.rulesAt(appendTimeMs).activation,
    });

    const perTarget: Buffer[][] = Array.from({ length: deps.targets }, () => []);
    const withMatches = new Set<number>();
    let matches = 0;
    for (const range of ranges) {
      matches += range.matches.length;
      for (const [target, batches] of packRange(range, deps).entries()) {
        for (const batch of batches) {
          if (batch.matches.length > 0) withMatches.add(target);
          perTarget[target]?.push(deps.codec.encode('tracehound.pipeline.v1.MatchBatch', batch));
        }
      }
    }
    deps.faultPoint('a:before-matches');
    const span = deps.currentSpan?.() ?? null;
    await Promise.all(
      perTarget.map((values, target) => deps.writer.append(target, values, withMatches.has(target) ? span : null)),
    );
    deps.onMatches?.(matches, perTarget.length);
    deps.faultPoint('a:after-matches');
    return after;
  };
}
