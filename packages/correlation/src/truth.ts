import { compareHits, firstAtOrAfter, type Hit } from './hit.ts';
import { orderedEvidence } from './ordered.ts';
import type { Segment } from './segment.ts';
import type { EngineSwitches } from './switches.ts';
import { createTail } from './tail.ts';
import type { Tail } from './tail-type.ts';
import { temporalEvidence } from './temporal.ts';
import type { WindowRule } from './window-rule.ts';

/**
 * Truth intervals (X10.2): the maximal closed intervals on which c(t) holds, cut at frame boundaries (X10.3).
 * `hits` are in total order; thinned hits give the same answer. `known` are intervals already known to be true.
 */
export function truthSegments(
  hits: readonly Hit[],
  rule: WindowRule,
  { switches, known }: { switches: EngineSwitches; known: readonly Segment[] },
): { readonly segments: readonly Segment[]; readonly tail: Tail } {
  const tail = createTail(rule);
  const raw: Segment[] = [];
  for (const hit of hits) {
    const segment = tail.push(hit);
    if (segment) raw.push(segment);
  }
  if (known.length > 0) raw.push(...known);
  if (known.length > 0) raw.sort((a, b) => a.fromMs - b.fromMs);
  const merged: { fromMs: number; toMs: number }[] = [];
  for (const segment of raw) {
    const last = merged.at(-1);
    // Times are whole milliseconds: an interval that ends 1 ms before the next one begins has no gap to it.
    if (last && segment.fromMs <= last.toMs + 1) last.toMs = Math.max(last.toMs, segment.toMs);
    else merged.push({ fromMs: segment.fromMs, toMs: segment.toMs });
  }
  const segments = switches.frames ? merged.flatMap((segment) => cutAtFrames(segment, rule.frameMs)) : merged;
  return { segments, tail };
}

function cutAtFrames(segment: Segment, frameMs: number): readonly Segment[] {
  const pieces: Segment[] = [];
  let { fromMs } = segment;
  for (;;) {
    const next = (Math.floor(fromMs / frameMs) + 1) * frameMs;
    if (segment.toMs < next) break;
    pieces.push({ fromMs, toMs: next - 1 });
    fromMs = next;
  }
  pieces.push({ fromMs, toMs: segment.toMs });
  return pieces;
}

/** Ids of a sum's evidence. */
const SUM_EVIDENCE_MAX = 64;

/** Evidence at the left end of an episode (X10.5, X10.6), in total order. Empty only if c does not hold there. */
export function evidenceAt(
  hits: readonly Hit[],
  rule: WindowRule,
  { leftMs, switches }: { leftMs: number; switches: EngineSwitches },
): readonly Hit[] {
  const window = { fromMs: leftMs - rule.spanMs, toMs: leftMs };
  if (rule.type === 'temporal_ordered') return orderedEvidence(hits, rule, window);
  if (rule.type === 'temporal') return temporalEvidence(hits, rule, window);
  const inside = hits.slice(firstAtOrAfter(hits, window.fromMs), firstAtOrAfter(hits, window.toMs + 1));
  if (rule.type === 'event_count') return inside.slice(0, rule.threshold);
  return rule.type === 'value_sum'
    ? inside.slice(-SUM_EVIDENCE_MAX)
    : valueEvidence(inside, rule, { leftMs, switches });
}

/** Per value its last hit in bucket b-1, else its first in b (b = floor(t0/span)): what thinning always keeps. */
function valueEvidence(
  inside: readonly Hit[],
  rule: WindowRule,
  { leftMs, switches }: { leftMs: number; switches: EngineSwitches },
): readonly Hit[] {
  const bucket = bucketOf(leftMs, rule);
  const chosen = new Map<string, Hit>();
  for (const hit of inside) {
    const value = hit.value ?? '';
    const before = bucketOf(hit.timeMs, rule) < bucket;
    if (before || !chosen.has(value) || !switches.valueEvidenceKept) chosen.set(value, hit);
  }
  return [...chosen.values()].sort(compareHits);
}

/** The span-long bucket of a time, counted from 1970; frames are multiples of buckets. */
export function bucketOf(timeMs: number, rule: WindowRule): number {
  return Math.floor(timeMs / rule.spanMs);
}
