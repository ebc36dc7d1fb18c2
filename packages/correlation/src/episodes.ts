import { type CurrentEpisode, evidenceOf, type Group, type OpenAlert, pruneGroup, thinnedAtLeast } from './group.ts';
import { firstAtOrAfter, type Hit } from './hit.ts';
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
};

/** The same without what costs: evidence and count are looked up when an alert speaks. */
export type EpisodeRange = { readonly fromMs: number; readonly lastAtMs: number; readonly current: boolean };

/**
 * The episodes as known now: the firm current one, continued, and those that what is kept shows above the settled
 * time. With `limitMs` only what lies below it is looked at (the firm part).
 */
export function episodeRanges(
  group: Group,
  rule: WindowRule,
  { limitMs, switches }: { limitMs: number; switches: EngineSwitches },
): readonly EpisodeRange[] {
  const ranges: { fromMs: number; lastAtMs: number; current: boolean }[] = [];
  const { current, firmToMs } = group;
  if (current) ranges.push({ fromMs: current.fromMs, lastAtMs: current.lastAtMs, current: true });
  // Fewer hits than the threshold cannot make anything true.
  if (group.hits.length < rule.threshold && group.settled.length === 0) return ranges;
  for (const segment of truthSegments(group.hits, rule, { switches, known: group.settled })) {
    const fromMs = Math.max(segment.fromMs, firmToMs);
    const toMs = Math.min(segment.toMs, limitMs - 1);
    if (toMs < fromMs) continue;
    const last = ranges.at(-1);
    if (last && fromMs - last.lastAtMs <= rule.spanMs && sameFrame(last.fromMs, fromMs, rule, switches)) {
      last.lastAtMs = Math.max(last.lastAtMs, toMs);
    } else {
      ranges.push({ fromMs, lastAtMs: toMs, current: false });
    }
  }
  return ranges;
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
  const ranges = episodeRanges(group, rule, { limitMs, switches });
  const over: Episode[] = [];
  let current: CurrentEpisode | null = null;
  for (const [index, range] of ranges.entries()) {
    const evidence = evidenceOfRange(group, range, { rule, switches });
    const next = ranges[index + 1];
    if (next || range.lastAtMs + rule.spanMs < limitMs) {
      const { count, exact } = countOfRange(group, range, { rule, nextFromMs: next?.fromMs });
      over.push({ fromMs: range.fromMs, lastAtMs: range.lastAtMs, evidence, count, countExact: exact });
    } else {
      current = {
        fromMs: range.fromMs,
        lastAtMs: range.lastAtMs,
        evidence,
        ...countFirm(group, range, { rule, limitMs }),
      };
    }
  }
  group.current = current;
  group.firmToMs = limitMs;
  pruneGroup(group, rule);
  return over;
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

/** The open alerts an episode owns: those opened at a place inside it. */
export function opensInside(group: Group, range: { fromMs: number; lastAtMs: number }): readonly OpenAlert[] {
  return group.opens.filter((open) => range.fromMs <= open.atMs && open.atMs <= range.lastAtMs);
}
