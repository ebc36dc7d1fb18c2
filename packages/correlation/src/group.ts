import { firstAtOrAfter, type Hit, insertionIndex } from './hit.ts';
import type { Segment } from './segment.ts';
import { type EngineSwitches, EXACT } from './switches.ts';
import type { Tail } from './tail.ts';
import { type DegradedRange, thinHits } from './thinning.ts';
import { evidenceAt } from './truth.ts';
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
  /** value_sum: the sum at the left end; null for other types. */
  readonly amount: number | null;
};

/** A truth interval whose hits were let go, with the evidence of its left end. */
export type SettledSegment = Segment & { readonly evidence: readonly Hit[] };

/** The episodes as known now, left to right. `current`: the first one continues what is firm already. */
export type EpisodeRange = { readonly fromMs: number; lastAtMs: number; readonly current: boolean };

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
  /** Ids that were seen lately: who is not in it is no copy. */
  ids: Set<string> | null;
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
    ids: null,
    used: true,
  };
}

/** Shared and never changed: most groups never need one of their own. */
const NO_OPENS: OpenAlert[] = [];
const NOTHING_SETTLED: SettledSegment[] = [];
const NOTHING_THINNED: Map<number, Uint8Array> = new Map();

/** Bits of the bitmap that counts thinned events from below: 256 bytes, for hot groups only. */
const THINNED_BITS = 2048;

export type Insertion =
  | { readonly kind: 'duplicate' }
  | { readonly kind: 'applied'; readonly degraded: DegradedRange | null };

const DUPLICATE: Insertion = { kind: 'duplicate' };
const APPLIED: Insertion = { kind: 'applied', degraded: null };

/** Adds a hit in total order and thins its surroundings. A second copy of an event (X6) changes nothing. */
export function insertHit(group: Group, hit: Hit, rule: WindowRule, switches: EngineSwitches = EXACT): Insertion {
  if (switches.dropDuplicateIds && isCopy(group, hit)) return DUPLICATE;
  const { hits } = group;
  const lastMs = hits.length > 0 ? (hits[hits.length - 1] as Hit).timeMs : Number.NEGATIVE_INFINITY;
  const index = insertionIndex(hits, hit);
  if (index === hits.length) hits.push(hit);
  else hits.splice(index, 0, hit);
  if (hit.timeMs >= lastMs) extendRanges(group, hit, rule, switches);
  else forgetView(group);
  const degraded = thinHits(group, hit, rule, switches);
  return degraded ? { kind: 'applied', degraded } : APPLIED;
}

/** Hits up to which looking at each is cheaper than remembering ids apart. */
const SCANNED_HITS_MAX = 24;

function isCopy(group: Group, hit: Hit): boolean {
  const { hits } = group;
  if (hits.length > SCANNED_HITS_MAX) {
    if (!group.ids || group.ids.size > 4 * hits.length + 64) group.ids = new Set(hits.map(({ id }) => id));
    if (!group.ids.has(hit.id)) {
      group.ids.add(hit.id);
      return false;
    }
  } else group.ids = null;
  for (let index = hits.length - 1; index >= 0; index--) {
    const other = hits[index] as Hit;
    if (other.id === hit.id && other.step === hit.step && other.value === hit.value) return true;
  }
  return false;
}

/** The episodes have to be looked for again in what is kept. */
export function forgetView(group: Group): void {
  group.ranges = null;
  group.tail = null;
}

/** A hit that comes in order can only prolong the last episode or begin a new one: no need to look at all hits. */
function extendRanges(group: Group, hit: Hit, rule: WindowRule, switches: EngineSwitches): void {
  const { tail, ranges } = group;
  if (!tail || !ranges) {
    group.ranges = null;
    group.tail = null;
    return;
  }
  const segment = tail.push(hit);
  if (segment === null) return;
  const last = ranges[ranges.length - 1];
  const isPlain =
    segment !== undefined &&
    rule.suppressMs === null &&
    hit.timeMs >= group.firmToMs &&
    (!last || segment.fromMs >= last.fromMs) &&
    (!switches.frames || frameAt(segment.fromMs, rule) === frameAt(segment.toMs, rule));
  if (!isPlain) {
    forgetView(group);
    return;
  }
  if (
    last &&
    segment.fromMs - last.lastAtMs <= rule.spanMs &&
    (!switches.frames || frameAt(last.fromMs, rule) === frameAt(segment.fromMs, rule))
  ) {
    if (segment.toMs > last.lastAtMs) last.lastAtMs = segment.toMs;
  } else ranges.push({ fromMs: segment.fromMs, lastAtMs: segment.toMs, current: false });
}

function frameAt(timeMs: number, rule: WindowRule): number {
  return Math.floor(timeMs / rule.frameMs);
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
