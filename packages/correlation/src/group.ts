import { firstAtOrAfter, type Hit } from './hit.ts';
import type { Segment } from './segment.ts';
import type { EngineSwitches } from './switches.ts';
import type { Tail } from './tail-type.ts';
import { evidenceAt } from './truth.ts';
import type { WindowRule } from './window-rule.ts';
import type { WrittenHits } from './written-hits.ts';

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
  /** value_sum: the sum at the left end; null for other types. */
  readonly amount: number | null;
};

/** A truth interval whose hits were let go, with the evidence of its left end. */
export type SettledSegment = Segment & { readonly evidence: readonly Hit[] };

/** The episodes as known now, left to right. `current`: the first one continues what is firm already. */
export type EpisodeRange = { readonly fromMs: number; lastAtMs: number; readonly current: boolean };

/** Kept hits of a value in one bucket: how many, and the youngest; null where that is not known. */
export type ValueHits = { count: number; youngest: Hit | null };
export type ValueCounts = { readonly bucket: number; readonly counts: Map<string | null, ValueHits> };

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
  /** Caches below are made from the fields above when needed and never written. */
  ranges: EpisodeRange[] | null;
  tail: Tail | null;
  /** value_count: kept hits per value in one bucket. */
  values: ValueCounts | null;
  /** Bytes of the hits, as last written. */
  written: WrittenHits | null;
  used: boolean;
};

export function createGroup(organization: string, groupKey: string, firmToMs: number): Group {
  return {
    organization,
    groupKey,
    hits: [],
    firmToMs,
    current: null,
    opens: NO_OPENS,
    thinned: NOTHING_THINNED,
    settled: NOTHING_SETTLED,
    cutMs: Number.NEGATIVE_INFINITY,
    ranges: null,
    tail: null,
    values: null,
    written: null,
    used: true,
  };
}

/** Shared and never changed: most groups never need one of their own. */
const NO_OPENS: OpenAlert[] = [];
const NOTHING_SETTLED: SettledSegment[] = [];
const NOTHING_THINNED: Map<number, Uint8Array> = new Map();

/** Bits of the bitmap that counts thinned events from below: 256 bytes, for hot groups only. */
const THINNED_BITS = 2048;

/** The episodes have to be looked for again in what is kept. */
export function forgetView(group: Group): void {
  group.ranges = null;
  group.tail = null;
}

/** Evidence of an episode that begins at `leftMs`, from what is kept. */
export function evidenceOf(group: Group, leftMs: number, rule: WindowRule, switches: EngineSwitches): readonly Hit[] {
  const settled = group.settled.find((segment) => segment.fromMs === leftMs);
  return settled?.evidence ?? evidenceAt(group.hits, rule, { leftMs, switches });
}

export function noteThinned(group: Group, bucket: number, id: string): void {
  if (group.thinned === NOTHING_THINNED) group.thinned = new Map();
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

/**
 * How many distinct events thinning let go between the times, at least: copies of one event set the same bit, and of a bucket
 * that reaches over an end it is not known which lie inside. `isSome`: there may be such events.
 */
export function thinnedAtLeast(
  group: Group,
  { fromMs, toMs }: Segment,
  spanMs: number,
): { readonly count: number; readonly isSome: boolean } {
  let count = 0;
  let isSome = false;
  for (const [bucket, bitmap] of group.thinned) {
    const [firstMs, lastMs] = [bucket * spanMs, (bucket + 1) * spanMs - 1];
    if (lastMs < fromMs || firstMs > toMs) continue;
    isSome = true;
    if (firstMs < fromMs || lastMs > toMs) continue;
    for (const byte of bitmap) for (let rest = byte; rest !== 0; rest &= rest - 1) count++;
  }
  return { count, isSome };
}

/** Lets go of everything that no window above the watermark can see. */
export function pruneGroup(group: Group, rule: WindowRule): void {
  const keepFromMs = group.firmToMs - rule.spanMs;
  const first = firstAtOrAfter(group.hits, keepFromMs);
  if (first > 0) {
    group.hits = group.hits.slice(first);
    group.values = null;
  }
  for (const bucket of group.thinned.keys()) {
    if ((bucket + 1) * rule.spanMs <= keepFromMs) group.thinned.delete(bucket);
  }
  if (group.settled.length > 0) group.settled = group.settled.filter((segment) => segment.toMs >= group.firmToMs);
}

/** Nothing is true now, was true, or has been said: what is kept are hits that more would be needed for. */
export function isSilent({ ranges, current, opens, settled }: Group): boolean {
  return ranges !== null && ranges.length === 0 && current === null && opens.length === 0 && settled.length === 0;
}

export function isEmptyGroup(group: Group): boolean {
  return group.hits.length === 0 && group.current === null && group.opens.length === 0;
}
