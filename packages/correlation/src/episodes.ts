import {
  type CurrentEpisode,
  type EpisodeRange,
  evidenceOf,
  forgetView,
  type Group,
  isSilent,
  type OpenAlert,
  pruneGroup,
  thinnedAtLeast,
} from './group.ts';
import { firstAtOrAfter, type Hit } from './hit.ts';
import type { Segment } from './segment.ts';
import type { EngineSwitches } from './switches.ts';
import { bucketOf, truthSegments } from './truth.ts';
import type { WindowRule } from './window-rule.ts';

/** A maximal run of truth intervals with gaps of at most one span, within one frame (X10.3). */
export type Episode = {
  readonly fromMs: number;
  readonly lastAtMs: number;
  readonly evidence: readonly Hit[];
  readonly count: number;
  readonly countExact: boolean;
  /** What the condition counted at the left end (semantics section 9): the sum; for others see `countOf`. */
  readonly amount: number | null;
  /** The time that the watermark must pass for it to be final. */
  readonly dueMs: number;
};

/**
 * The episodes as known now: the firm current one, continued, and those that what is kept shows above the settled
 * time. With `limitMs` only what lies below it is looked at (the firm part).
 */
export function episodeRanges(
  group: Group,
  rule: WindowRule,
  { limitMs, switches }: { limitMs: number; switches: EngineSwitches },
): EpisodeRange[] {
  const ranges: EpisodeRange[] = [];
  const { current, firmToMs } = group;
  if (current) ranges.push({ fromMs: current.fromMs, lastAtMs: current.lastAtMs, current: true });
  // Fewer hits than the threshold cannot make anything true.
  if (group.hits.length < rule.threshold && group.settled.length === 0) return ranges;
  const { segments, tail } = truthSegments(group.hits, rule, { switches, known: group.settled });
  if (limitMs === Number.POSITIVE_INFINITY) group.tail = tail;
  for (const segment of segments) {
    const fromMs = Math.max(segment.fromMs, firmToMs);
    const toMs = Math.min(segment.toMs, limitMs - 1);
    if (toMs >= fromMs) addTruth(ranges, { fromMs, toMs }, rule, switches);
  }
  return ranges;
}

/** Joins a truth interval to the last episode, or begins the next; `suppress` cuts an episode this long after its left end. */
function addTruth(ranges: EpisodeRange[], truth: Segment, rule: WindowRule, switches: EngineSwitches): void {
  let { fromMs } = truth;
  for (;;) {
    const last = ranges.at(-1);
    const cutMs = last && rule.suppressMs !== null ? last.fromMs + rule.suppressMs : Number.POSITIVE_INFINITY;
    const joins =
      last &&
      fromMs - last.lastAtMs <= rule.spanMs &&
      sameFrame(last.fromMs, fromMs, rule, switches) &&
      fromMs <= cutMs;
    if (joins) last.lastAtMs = Math.max(last.lastAtMs, Math.min(truth.toMs, cutMs));
    else {
      const endMs = rule.suppressMs === null ? truth.toMs : Math.min(truth.toMs, fromMs + rule.suppressMs);
      ranges.push({ fromMs, lastAtMs: endMs, current: false });
    }
    const { lastAtMs } = ranges.at(-1) as EpisodeRange;
    if (lastAtMs >= truth.toMs) return;
    fromMs = lastAtMs + 1;
  }
}

/** The same, remembered until something comes that was not in order. */
export function rangesOf(group: Group, rule: WindowRule, switches: EngineSwitches): readonly EpisodeRange[] {
  group.ranges ??= episodeRanges(group, rule, { limitMs: Number.POSITIVE_INFINITY, switches });
  return group.ranges;
}

function sameFrame(aMs: number, bMs: number, rule: WindowRule, switches: EngineSwitches): boolean {
  return !switches.frames || Math.floor(aMs / rule.frameMs) === Math.floor(bMs / rule.frameMs);
}

/** Evidence of an episode: kept with the firm part, else computed at its left end. */
export function evidenceOfRange(
  group: Group,
  range: EpisodeRange,
  { rule, switches }: { rule: WindowRule; switches: EngineSwitches },
): readonly Hit[] {
  if (range.current && group.current) return group.current.evidence;
  return evidenceOf(group, range.fromMs, rule, switches);
}

/**
 * Events of the group from the episode's first window to one span after its last truth (or to the next episode, at a
 * frame boundary). Exact until thinning lets events go, then a lower bound. It does not depend on when the firm part
 * was last settled.
 */
export function countOfRange(
  group: Group,
  range: EpisodeRange,
  { rule, nextFromMs }: { rule: WindowRule; nextFromMs: number | undefined },
): { count: number; exact: boolean } {
  const endMs = Math.min(
    range.lastAtMs + rule.spanMs,
    nextFromMs === undefined ? Number.POSITIVE_INFINITY : nextFromMs - 1,
  );
  const firm = range.current ? group.current : null;
  const fromMs = firm ? group.firmToMs : range.fromMs - rule.spanMs;
  const kept = Math.max(0, firstAtOrAfter(group.hits, endMs + 1) - firstAtOrAfter(group.hits, fromMs));
  // Buckets wholly below the settled time are in `counted` already.
  const fromBucket = bucketOf(fromMs, rule);
  const thinned = thinnedAtLeast(group, fromBucket, bucketOf(endMs, rule));
  return { count: (firm?.counted ?? 0) + kept + thinned, exact: (firm?.exact ?? true) && thinned === 0 };
}

/** What settling a group found: episodes that are over, in order of time. */
export type Settled = readonly Episode[];

/**
 * Settles a group up to the watermark: below it nothing can arrive any more. Episodes that ended more than a span
 * ago, or that a later firm episode follows, are final (X10.10); the last one stays as the current episode. Lets go
 * of what no later window can see. Calling it at every watermark or only when something is due gives the same.
 */
export function settleGroup(
  group: Group,
  watermarkMs: number,
  { rule, switches }: { rule: WindowRule; switches: EngineSwitches },
): Settled {
  const limitMs = switches.strictWatermark ? watermarkMs : watermarkMs + 1;
  if (limitMs <= group.firmToMs) return [];
  if (isSilent(group)) {
    // No episode in what is kept: nothing to settle, and what is known of the hits stays right without the oldest.
    group.firmToMs = limitMs;
    pruneGroup(group, rule);
    return [];
  }
  const ranges = episodeRanges(group, rule, { limitMs, switches });
  const over: Episode[] = [];
  let current: CurrentEpisode | null = null;
  for (const [index, range] of ranges.entries()) {
    const evidence = evidenceOfRange(group, range, { rule, switches });
    const next = ranges[index + 1];
    if (next || range.lastAtMs + rule.spanMs < limitMs) {
      const { count, exact } = countOfRange(group, range, { rule, nextFromMs: next?.fromMs });
      const { fromMs, lastAtMs } = range;
      const dueMs = Math.min(lastAtMs + rule.spanMs, next?.fromMs ?? Number.POSITIVE_INFINITY);
      over.push({ fromMs, lastAtMs, evidence, count, countExact: exact, amount: amountOf(group, range, rule), dueMs });
    } else {
      current = {
        fromMs: range.fromMs,
        lastAtMs: range.lastAtMs,
        evidence,
        amount: amountOf(group, range, rule),
        ...countFirm(group, range, { rule, limitMs }),
      };
    }
  }
  group.current = current;
  group.firmToMs = limitMs;
  forgetView(group);
  pruneGroup(group, rule);
  return over;
}

/** value_sum: the sum over the window at the left end. */
export function amountOf(group: Group, range: EpisodeRange, rule: WindowRule): number | null {
  if (rule.type !== 'value_sum') return null;
  if (range.current && group.current) return group.current.amount;
  const from = firstAtOrAfter(group.hits, range.fromMs - rule.spanMs);
  const to = firstAtOrAfter(group.hits, range.fromMs + 1);
  return group.hits.slice(from, to).reduce((sum, hit) => sum + (hit.number ?? 0), 0);
}

/** Counts what becomes firm: hits below the limit, and thinned events of buckets that end below it. */
function countFirm(
  group: Group,
  range: EpisodeRange,
  { rule, limitMs }: { rule: WindowRule; limitMs: number },
): { counted: number; exact: boolean } {
  const firm = range.current ? group.current : null;
  const fromMs = firm ? group.firmToMs : range.fromMs - rule.spanMs;
  const kept = firstAtOrAfter(group.hits, limitMs) - firstAtOrAfter(group.hits, fromMs);
  const thinned = thinnedAtLeast(group, bucketOf(fromMs, rule), bucketOf(limitMs, rule) - 1);
  return { counted: (firm?.counted ?? 0) + kept + thinned, exact: (firm?.exact ?? true) && thinned === 0 };
}

/** The first open alert an episode owns: one that was opened at a place inside it. */
export function openOf(
  group: Group,
  range: { readonly fromMs: number; readonly lastAtMs: number },
): OpenAlert | undefined {
  for (const open of group.opens) if (range.fromMs <= open.atMs && open.atMs <= range.lastAtMs) return open;
  return undefined;
}
