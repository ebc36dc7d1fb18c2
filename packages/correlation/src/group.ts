import { firstAtOrAfter, type Hit, insertionIndex } from './hit.ts';
import type { Segment } from './segment.ts';
import type { EngineSwitches } from './switches.ts';
import { bucketOf, evidenceAt, truthSegments } from './truth.ts';
import type { WindowRule } from './window-rule.ts';

/** An alert that was opened and has not ended. */
export type OpenAlert = {
  readonly id: string;
  /** Left end of the episode as known when it was opened: the place by which an episode owns it. */
  readonly atMs: number;
  /** Minute of the watermark at which it last spoke (X10.9). */
  minute: number;
  lastAtMs: number;
  count: number;
};

/** The firm part of the episode that is not final yet (X10.15). */
export type CurrentEpisode = {
  readonly fromMs: number;
  readonly lastAtMs: number;
  readonly evidence: readonly Hit[];
  /** Firm events counted so far; kept because the events themselves are let go. */
  readonly counted: number;
  /** False when thinning let events go, so that `counted` is a lower bound. */
  readonly exact: boolean;
};

/** A truth interval whose hits were let go, with the evidence of its left end. */
export type SettledSegment = Segment & { readonly evidence: readonly Hit[] };

/** Window state of one (correlation, organization, group). */
export type Group = {
  readonly organization: string;
  readonly groupKey: string;
  /** In total order; all with time >= firmToMs - span, in thinned form. */
  hits: Hit[];
  /** The watermark up to which this group has been settled: nothing earlier can arrive any more. */
  firmToMs: number;
  current: CurrentEpisode | null;
  opens: OpenAlert[];
  /** Per bucket, a bitmap over the ids that thinning let go: how many at least. */
  thinned: Map<number, Uint8Array>;
  /** Ordered rules under flood: intervals known to be true whose hits were let go. */
  settled: SettledSegment[];
  /** Ordered rules under flood: hits up to here were let go; what arrives earlier is not exact any more. */
  cutMs: number;
};

export function createGroup(organization: string, groupKey: string, firmToMs: number): Group {
  return {
    organization,
    groupKey,
    hits: [],
    firmToMs,
    current: null,
    opens: [],
    thinned: new Map(),
    settled: [],
    cutMs: Number.NEGATIVE_INFINITY,
  };
}

/**
 * Hits per step and span-long bucket that an ordered rule keeps while events may still come out of order (X10.15). The
 * bound grows with the buckets in reach, 2 + lateness / span of them at most, so that a large lateness does not degrade.
 */
const ORDERED_HITS_MAX = 64;
/** Hits of one step and one instant that an ordered rule keeps. */
const ORDERED_INSTANT_MAX = 32;
/** Hits per bucket that a value rule keeps: 512 distinct values, first and last hit each, or four per threshold. */
const VALUE_HITS_MAX = 1024;
/** Bits of the bitmap that counts thinned events from below: 256 bytes, for hot groups only. */
const THINNED_BITS = 2048;

/** A range in which state had to be dropped, so that results may differ from the exact ones (X14). */
export type DegradedRange = { readonly fromMs: number; readonly toMs: number; readonly reason: DegradedReason };
export type DegradedReason = 'ordered_hits_max' | 'value_hits_max';

export type Insertion =
  | { readonly kind: 'duplicate' }
  | { readonly kind: 'applied'; readonly degraded: DegradedRange | null };

/** Adds a hit in total order and thins its surroundings. A second copy of an event (X6) changes nothing. */
export function insertHit(group: Group, hit: Hit, rule: WindowRule, switches: EngineSwitches): Insertion {
  const copy = (other: Hit): boolean => other.id === hit.id && other.step === hit.step && other.value === hit.value;
  if (switches.dropDuplicateIds && group.hits.some(copy)) return { kind: 'duplicate' };
  group.hits.splice(insertionIndex(group.hits, hit), 0, hit);
  switch (rule.type) {
    case 'event_count':
      thinCount(group, hit, rule, switches);
      return { kind: 'applied', degraded: null };
    case 'value_count':
      return { kind: 'applied', degraded: thinValues(group, hit, rule, switches) };
    case 'temporal_ordered':
      return { kind: 'applied', degraded: thinOrdered(group, hit, rule, switches) };
  }
}

/** event_count keeps the first N and the last N of every bucket: no window of one span can tell the difference. */
function thinCount(group: Group, hit: Hit, rule: WindowRule, switches: EngineSwitches): void {
  const bucket = bucketOf(hit.timeMs, rule);
  const from = firstAtOrAfter(group.hits, bucket * rule.spanMs);
  const to = firstAtOrAfter(group.hits, (bucket + 1) * rule.spanMs);
  const first = switches.thinKeepsFirst ? rule.threshold : 0;
  const last = switches.thinKeepsLast ? rule.threshold : 0;
  if (to - from <= first + last) return;
  for (const gone of group.hits.splice(from + first, to - from - first - last)) noteThinned(group, bucket, gone.id);
}

/** value_count keeps the first and the last hit per value and bucket. */
function thinValues(group: Group, hit: Hit, rule: WindowRule, switches: EngineSwitches): DegradedRange | null {
  const bucket = bucketOf(hit.timeMs, rule);
  const from = firstAtOrAfter(group.hits, bucket * rule.spanMs);
  const to = firstAtOrAfter(group.hits, (bucket + 1) * rule.spanMs);
  const same: number[] = [];
  for (let index = from; index < to; index++) if ((group.hits[index] as Hit).value === hit.value) same.push(index);
  const first = switches.thinKeepsFirst ? 1 : 0;
  const last = switches.thinKeepsLast ? 1 : 0;
  const gone = new Set(same.slice(first, same.length - last || same.length));
  if (gone.size > 0) {
    for (const index of gone) noteThinned(group, bucket, (group.hits[index] as Hit).id);
    group.hits = group.hits.filter((_, index) => !gone.has(index));
  }
  return to - from - gone.size > Math.max(VALUE_HITS_MAX, 8 * rule.threshold) ? dropValues(group, bucket, rule) : null;
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
  return { fromMs: bucket * rule.spanMs, toMs: (bucket + 1) * rule.spanMs - 1, reason: 'value_hits_max' };
}

/**
 * An ordered rule keeps every hit up to 64 per step and bucket. Beyond, the intervals known to be true are written down and
 * the older half of the hits is let go, but for those that later hits may build on. Hits that come in order stay
 * exact; a hit that arrives below the cut makes a degraded range.
 */
function thinOrdered(group: Group, hit: Hit, rule: WindowRule, switches: EngineSwitches): DegradedRange | null {
  const degraded: DegradedRange | null =
    hit.timeMs <= group.cutMs ? { fromMs: hit.timeMs, toMs: group.cutMs, reason: 'ordered_hits_max' } : null;
  thinInstant(group, hit, rule);
  const ofStep = group.hits.filter((other) => other.step === hit.step && other.timeMs > group.cutMs);
  const median = ofStep[ofStep.length >>> 1];
  if (ofStep.length <= ORDERED_HITS_MAX || !median) return degraded;
  const buckets = new Set(ofStep.map((other) => bucketOf(other.timeMs, rule))).size;
  if (ofStep.length > ORDERED_HITS_MAX * buckets) cutOrdered(group, median.timeMs - 1, rule, switches);
  return degraded;
}

/** Of many hits of one step and instant (logs in whole seconds) the largest ids do: evidence picks from the end. */
function thinInstant(group: Group, hit: Hit, rule: WindowRule): void {
  const same = group.hits.filter((other) => other.step === hit.step && other.timeMs === hit.timeMs);
  if (same.length <= ORDERED_INSTANT_MAX) return;
  const gone = new Set(same.slice(0, same.length - ORDERED_INSTANT_MAX));
  for (const { id } of gone) noteThinned(group, bucketOf(hit.timeMs, rule), id);
  group.hits = group.hits.filter((other) => !gone.has(other));
}

function cutOrdered(group: Group, cutMs: number, rule: WindowRule, switches: EngineSwitches): void {
  if (cutMs <= group.cutMs) return;
  const truth = truthSegments(group.hits, rule, { switches, known: group.settled });
  group.settled = truth
    .filter((segment) => segment.fromMs <= cutMs && segment.toMs >= group.firmToMs)
    .map((segment) => ({ ...segment, evidence: evidenceOf(group, segment.fromMs, rule, switches) }));
  group.cutMs = cutMs;
  const kept = new Set<Hit>();
  for (let step = rule.threshold - 1; step >= 0; step--) {
    const below = group.hits.filter((hit) => hit.step === step && hit.timeMs <= cutMs);
    const successors = [...kept].filter((hit) => hit.step === step + 1);
    for (const bound of [cutMs, ...successors.map((hit) => hit.timeMs)]) {
      for (const hit of below.filter((candidate) => candidate.timeMs <= bound).slice(-rule.threshold)) kept.add(hit);
    }
  }
  const gone = (hit: Hit): boolean => hit.timeMs <= cutMs && !kept.has(hit);
  for (const hit of group.hits) if (gone(hit)) noteThinned(group, bucketOf(hit.timeMs, rule), hit.id);
  group.hits = group.hits.filter((hit) => !gone(hit));
}

/** Evidence of an episode that begins at `leftMs`, from what is kept. */
export function evidenceOf(group: Group, leftMs: number, rule: WindowRule, switches: EngineSwitches): readonly Hit[] {
  const settled = group.settled.find((segment) => segment.fromMs === leftMs);
  return settled?.evidence ?? evidenceAt(group.hits, rule, { leftMs, switches });
}

function noteThinned(group: Group, bucket: number, id: string): void {
  let bitmap = group.thinned.get(bucket);
  if (!bitmap) {
    bitmap = new Uint8Array(THINNED_BITS / 8);
    group.thinned.set(bucket, bitmap);
  }
  const bit = hash32(id) % THINNED_BITS;
  bitmap[bit >>> 3] = (bitmap[bit >>> 3] as number) | (1 << (bit & 7));
}

/** FNV-1a over UTF-16 units. */
function hash32(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  return hash >>> 0;
}

/** How many distinct events thinning let go in the buckets, at least: copies of one event set the same bit. */
export function thinnedAtLeast(group: Group, fromBucket: number, toBucket: number): number {
  let count = 0;
  for (const [bucket, bitmap] of group.thinned) {
    if (bucket < fromBucket || bucket > toBucket) continue;
    for (const byte of bitmap) for (let rest = byte; rest !== 0; rest &= rest - 1) count++;
  }
  return count;
}

/** Lets go of everything that no window above the watermark can see. */
export function pruneGroup(group: Group, rule: WindowRule): void {
  const keepFromMs = group.firmToMs - rule.spanMs;
  const first = firstAtOrAfter(group.hits, keepFromMs);
  if (first > 0) group.hits = group.hits.slice(first);
  for (const bucket of group.thinned.keys()) {
    if ((bucket + 1) * rule.spanMs <= keepFromMs) group.thinned.delete(bucket);
  }
  if (group.settled.length > 0) group.settled = group.settled.filter((segment) => segment.toMs >= group.firmToMs);
}

export function isEmptyGroup(group: Group): boolean {
  return group.hits.length === 0 && group.current === null && group.opens.length === 0;
}
