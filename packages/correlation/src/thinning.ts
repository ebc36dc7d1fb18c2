import { evidenceOf, forgetView, type Group, noteThinned, type ValueHits } from './group.ts';
import { compareHits, firstAtOrAfter, type Hit, insertionIndex } from './hit.ts';
import { latestOfPlaces, latestOfSteps, SHORT_CHAIN_MAX } from './kept-steps.ts';
import type { EngineSwitches } from './switches.ts';
import { bucketOf, truthSegments } from './truth.ts';
import type { WindowRule } from './window-rule.ts';

/**
 * Hits per step and span-long bucket that a temporal rule keeps while events may still come out of order (X10.15). The
 * bound grows with the buckets in reach, 2 + lateness / span of them at most, so that a large lateness does not degrade.
 */
const STEP_HITS_MAX = 64;
/** The same where less would change the evidence: gaps, many runs, episodes cut by `suppress`. */
const STEP_HITS_MAX_LONG = 512;
/** Hits of one step and one instant that an ordered rule keeps. */
const ORDERED_INSTANT_MAX = 32;
/** Hits per bucket that a value rule keeps: 512 distinct values, first and last hit each, or four per threshold. */
const VALUE_HITS_MAX = 1024;
/** Hits per bucket that a sum keeps; beyond, neighbours are added up. */
const SUM_HITS_MAX = 2048;
/** First and last hits per bucket of a count whose episodes are cut by `suppress`: any window may give evidence. */
const SUPPRESSED_HITS_MAX = 512;

/** A range in which state had to be dropped, so that results may differ from the exact ones (X14). */
export type DegradedRange = { readonly fromMs: number; readonly toMs: number; readonly reason: DegradedReason };
export type DegradedReason = 'ordered_hits_max' | 'value_hits_max' | 'sum_hits_max' | 'suppress_hits_max';

/** Lets go of what no window can tell from what stays; says so where that is not enough. */
export function thinHits(group: Group, hit: Hit, rule: WindowRule, switches: EngineSwitches): DegradedRange | null {
  switch (rule.type) {
    case 'event_count':
      return thinCount(group, hit, rule, switches);
    case 'value_count':
      return thinValues(group, hit, rule, switches);
    case 'value_sum':
      return thinSum(group, hit, rule);
    case 'temporal':
    case 'temporal_ordered':
      return thinSteps(group, hit, rule, switches);
  }
}

/** event_count keeps the first N and the last N of every bucket: no window of one span can tell the difference. */
function thinCount(group: Group, hit: Hit, rule: WindowRule, switches: EngineSwitches): DegradedRange | null {
  const kept = rule.suppressMs === null ? rule.threshold : Math.max(rule.threshold, SUPPRESSED_HITS_MAX);
  const first = switches.thinKeepsFirst ? kept : 0;
  const last = switches.thinKeepsLast ? kept : 0;
  const { hits } = group;
  if (hits.length <= first + last) return null;
  const bucket = bucketOf(hit.timeMs, rule);
  const from = firstAtOrAfter(hits, bucket * rule.spanMs);
  const to = firstAtOrAfter(hits, (bucket + 1) * rule.spanMs);
  if (to - from <= first + last) return null;
  const isFirst = rule.suppressMs !== null && !group.thinned.has(bucket);
  for (const gone of hits.splice(from + first, to - from - first - last)) noteThinned(group, bucket, gone.id);
  return isFirst ? rangeOf(bucket, rule, 'suppress_hits_max') : null;
}

function rangeOf(bucket: number, rule: WindowRule, reason: DegradedReason): DegradedRange {
  return { fromMs: bucket * rule.spanMs, toMs: (bucket + 1) * rule.spanMs - 1, reason };
}

/** value_count keeps the first and the last hit per value and bucket. */
function thinValues(group: Group, hit: Hit, rule: WindowRule, switches: EngineSwitches): DegradedRange | null {
  const bucket = bucketOf(hit.timeMs, rule);
  const seen = countsOf(group, hit, rule);
  const known = seen.get(hit.value);
  const first = switches.thinKeepsFirst ? 1 : 0;
  const last = switches.thinKeepsLast ? 1 : 0;
  if (!known || known.count < first + last) {
    if (!known) seen.set(hit.value, { count: 1, youngest: hit });
    else {
      known.count++;
      known.youngest = known.youngest && compareHits(known.youngest, hit) < 0 ? hit : null;
    }
    return dropIfFull(group, bucket, rule);
  }
  const { hits } = group;
  const gone = first === 1 && last === 1 ? middleOf(group, hit, known) : -1;
  const index = gone >= 0 ? gone : middleByScan(group, hit, rule, { first, last });
  known.youngest = gone >= 0 ? hit : null;
  if (index >= 0) {
    noteThinned(group, bucket, (hits[index] as Hit).id);
    hits.splice(index, 1);
  }
  return dropIfFull(group, bucket, rule);
}

/** Of three of one value, the last of which has just come, the one in the middle; -1 when it must be searched. */
function middleOf({ hits }: Group, hit: Hit, { youngest }: ValueHits): number {
  if (!youngest || compareHits(youngest, hit) >= 0) return -1;
  const index = insertionIndex(hits, youngest);
  return hits[index] === youngest ? index : -1;
}

function middleByScan(
  { hits }: Group,
  hit: Hit,
  rule: WindowRule,
  { first, last }: { readonly first: number; readonly last: number },
): number {
  const fromMs = bucketOf(hit.timeMs, rule) * rule.spanMs;
  const toMs = fromMs + rule.spanMs;
  // From the end: hits of the same value are the more likely the younger they are.
  let same = 0;
  let gone = -1;
  for (let index = hits.length - 1; index >= 0 && same <= first + last; index--) {
    const other = hits[index] as Hit;
    if (other.timeMs >= toMs) continue;
    if (other.timeMs < fromMs) break;
    if (other.value !== hit.value) continue;
    same++;
    // Of three of one value the middle one goes; without `first` or `last` (mutants) the one at that end.
    if (same === (last === 0 ? 1 : 2)) gone = index;
  }
  return same > first + last ? gone : -1;
}

/** Kept hits per value of the bucket, without the one that has just come. */
function countsOf(group: Group, hit: Hit, rule: WindowRule): Map<string | null, ValueHits> {
  const bucket = bucketOf(hit.timeMs, rule);
  if (group.values?.bucket === bucket) return group.values.counts;
  const counts = new Map<string | null, ValueHits>();
  const to = firstAtOrAfter(group.hits, (bucket + 1) * rule.spanMs);
  for (let index = firstAtOrAfter(group.hits, bucket * rule.spanMs); index < to; index++) {
    const other = group.hits[index] as Hit;
    if (other === hit) continue;
    const known = counts.get(other.value);
    if (known) {
      known.count++;
      known.youngest = other;
    } else counts.set(other.value, { count: 1, youngest: other });
  }
  group.values = { bucket, counts };
  return counts;
}

function dropIfFull(group: Group, bucket: number, rule: WindowRule): DegradedRange | null {
  const { hits } = group;
  if (hits.length <= VALUE_HITS_MAX) return null;
  const inBucket = firstAtOrAfter(hits, (bucket + 1) * rule.spanMs) - firstAtOrAfter(hits, bucket * rule.spanMs);
  return inBucket > Math.max(VALUE_HITS_MAX, 8 * rule.threshold) ? dropValues(group, bucket, rule) : null;
}

/**
 * Under a flood of distinct values a bucket keeps the N values seen first and the N seen last: the condition stays
 * exact, evidence that names every value of the window does not.
 */
function dropValues(group: Group, bucket: number, rule: WindowRule): DegradedRange {
  const inBucket = (hit: Hit): boolean => bucketOf(hit.timeMs, rule) === bucket;
  const members = group.hits.filter(inBucket);
  const earliest = new Set<string | null>();
  for (const { value } of members) if (earliest.size < rule.threshold) earliest.add(value);
  const latest = new Set<string | null>();
  for (const { value } of members.toReversed()) if (latest.size < rule.threshold) latest.add(value);
  const kept = (hit: Hit): boolean => !inBucket(hit) || earliest.has(hit.value) || latest.has(hit.value);
  for (const hit of group.hits) if (!kept(hit)) noteThinned(group, bucket, hit.id);
  group.hits = group.hits.filter(kept);
  group.values = null;
  return rangeOf(bucket, rule, 'value_hits_max');
}

/** A sum keeps every number up to a bound; beyond, neighbours of the older half of a bucket become one, and it says so. */
function thinSum(group: Group, hit: Hit, rule: WindowRule): DegradedRange | null {
  if (group.hits.length <= SUM_HITS_MAX) return null;
  const bucket = bucketOf(hit.timeMs, rule);
  const from = firstAtOrAfter(group.hits, bucket * rule.spanMs);
  const to = firstAtOrAfter(group.hits, (bucket + 1) * rule.spanMs);
  if (to - from <= SUM_HITS_MAX) return null;
  const half = group.hits.slice(from, from + SUM_HITS_MAX);
  const merged: Hit[] = [];
  for (let index = 0; index + 1 < half.length; index += 2) {
    const [a, b] = [half[index] as Hit, half[index + 1] as Hit];
    merged.push({ ...b, number: (a.number ?? 0) + (b.number ?? 0) });
    noteThinned(group, bucket, a.id);
  }
  group.hits.splice(from, half.length, ...merged);
  forgetView(group);
  return rangeOf(bucket, rule, 'sum_hits_max');
}

/**
 * A temporal rule keeps every hit up to 64 per step and bucket. Beyond, the intervals known to be true are written down and
 * the older half of the hits is let go, but for those that later hits may build on. Hits that come in order stay
 * exact; a hit that arrives below the cut makes a degraded range.
 */
function thinSteps(group: Group, hit: Hit, rule: WindowRule, switches: EngineSwitches): DegradedRange | null {
  const degraded: DegradedRange | null =
    hit.timeMs <= group.cutMs ? { fromMs: hit.timeMs, toMs: group.cutMs, reason: 'ordered_hits_max' } : null;
  if (rule.type === 'temporal_ordered') thinInstant(group, hit, rule);
  const isShort =
    rule.suppressMs === null && rule.gapMs === Number.POSITIVE_INFINITY && rule.chain.length <= SHORT_CHAIN_MAX;
  const most = isShort ? STEP_HITS_MAX : STEP_HITS_MAX_LONG;
  if (group.hits.length <= most) return degraded;
  let count = 0;
  let buckets = 0;
  let lastBucket = Number.NaN;
  for (const other of group.hits) {
    if (other.step !== hit.step || other.timeMs <= group.cutMs) continue;
    count++;
    const bucket = bucketOf(other.timeMs, rule);
    if (bucket === lastBucket) continue;
    lastBucket = bucket;
    buckets++;
  }
  if (count <= most * buckets) return degraded;
  const ofStep = group.hits.filter((other) => other.step === hit.step && other.timeMs > group.cutMs);
  const cutMs = (ofStep[ofStep.length >>> 1] as Hit).timeMs - 1;
  cutSteps(group, cutMs, rule, switches);
  return isShort ? degraded : (degraded ?? { fromMs: cutMs - rule.spanMs, toMs: cutMs, reason: 'ordered_hits_max' });
}

/** Of many hits of one step and instant (logs in whole seconds) the largest ids do: evidence picks from the end. */
function thinInstant(group: Group, hit: Hit, rule: WindowRule): void {
  const { hits } = group;
  const most = Math.max(ORDERED_INSTANT_MAX, rule.chain.length);
  if (hits.length <= most) return;
  let count = 0;
  let first = -1;
  for (let index = firstAtOrAfter(hits, hit.timeMs); index < hits.length; index++) {
    const other = hits[index] as Hit;
    if (other.timeMs !== hit.timeMs) break;
    if (other.step !== hit.step) continue;
    if (first < 0) first = index;
    count++;
  }
  if (count <= most) return;
  noteThinned(group, bucketOf(hit.timeMs, rule), (hits[first] as Hit).id);
  hits.splice(first, 1);
}

function cutSteps(group: Group, cutMs: number, rule: WindowRule, switches: EngineSwitches): void {
  if (cutMs <= group.cutMs) return;
  const { segments } = truthSegments(group.hits, rule, { switches, known: group.settled });
  group.settled = segments
    .filter((segment) => segment.fromMs <= cutMs && segment.toMs >= group.firmToMs)
    .map((segment) => ({ ...segment, evidence: evidenceOf(group, segment.fromMs, rule, switches) }));
  group.cutMs = cutMs;
  const kept =
    rule.type === 'temporal' ? latestOfSteps(group.hits, cutMs, rule) : latestOfPlaces(group.hits, cutMs, rule);
  const gone = (hit: Hit): boolean => hit.timeMs <= cutMs && !kept.has(hit);
  for (const hit of group.hits) if (gone(hit)) noteThinned(group, bucketOf(hit.timeMs, rule), hit.id);
  group.hits = group.hits.filter((hit) => !gone(hit));
}
