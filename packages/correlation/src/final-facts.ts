import type { CorrelationRule } from '@tracehound/sigma';
import type { Episode } from './episodes.ts';
import type { FirmFinal } from './firm/machine.ts';
import { compareHits, type Hit } from './hit.ts';

/** What a final says beyond its record (semantics section 9). Times in milliseconds. */
export type FinalFacts = {
  /** Time of the trigger, else `last_at`. */
  readonly atMs: number;
  /** Time that the watermark had to pass: results of a recording come in the order of (this, rule, organization, group). */
  readonly dueMs: number;
  /** What was counted: events, distinct values, or the sum. */
  readonly count: number;
};

/** Of an episode. */
export function factsOf(episode: Episode, rule: CorrelationRule): FinalFacts {
  const { evidence, lastAtMs, dueMs } = episode;
  const values = rule.definition.type === 'value_count' ? evidence.length : episode.count;
  return { atMs: newestOf(evidence)?.timeMs ?? lastAtMs, dueMs, count: episode.amount ?? values };
}

/** Of a machine's final. */
export function decidedFacts(final: FirmFinal): FinalFacts {
  const triggerMs = final.trigger === null ? undefined : newestOf(final.evidence)?.timeMs;
  return { atMs: triggerMs ?? final.lastAtMs, dueMs: final.decidedMs - 1, count: final.count };
}

/** X10.4: the event that completes the evidence, that is the largest in the total order. */
export function triggerOf(episode: Pick<Episode, 'evidence'>): string {
  return newestOf(episode.evidence)?.id ?? '';
}

function newestOf(evidence: readonly Hit[]): Hit | undefined {
  let largest = evidence[0];
  for (const hit of evidence) if (largest && compareHits(hit, largest) > 0) largest = hit;
  return largest;
}
