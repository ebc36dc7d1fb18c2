import { forgetView, type Group } from './group.ts';
import { firstAtOrAfter, type Hit, insertionIndex } from './hit.ts';
import type { EngineSwitches } from './switches.ts';
import { type DegradedRange, thinHits } from './thinning.ts';
import type { WindowRule } from './window-rule.ts';

export type Insertion =
  | { readonly kind: 'duplicate' }
  | { readonly kind: 'applied'; readonly degraded: DegradedRange | null };

const DUPLICATE: Insertion = { kind: 'duplicate' };
const APPLIED: Insertion = { kind: 'applied', degraded: null };

/** Adds a hit in total order and thins its surroundings. A second copy of an event (X6) changes nothing. */
export function insertHit(group: Group, hit: Hit, rule: WindowRule, switches: EngineSwitches): Insertion {
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

/** Copies of an event have one time (X2): only hits of the same instant need a look. */
function isCopy({ hits }: Group, hit: Hit): boolean {
  for (let index = hits.length - 1; index >= 0; index--) {
    const other = hits[index] as Hit;
    if (other.timeMs > hit.timeMs) {
      if (hits.length - index < SCANNED_HITS_MAX) continue;
      index = firstAtOrAfter(hits, hit.timeMs + 1);
      continue;
    }
    if (other.timeMs < hit.timeMs) return false;
    if (other.id === hit.id && other.step === hit.step && other.value === hit.value) return true;
  }
  return false;
}

/** Hits after it up to which a hit's place is looked for one by one. */
const SCANNED_HITS_MAX = 16;

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
