import type { Hit, StepHit } from './hit.ts';
import type { Segment } from './segment.ts';
import type { Tail } from './tail-type.ts';
import type { WindowRule } from './window-rule.ts';

/**
 * temporal_ordered. A chain is one hit per place (steps, runs written out), of distinct events, times not falling and
 * neighbours no further apart than the gap; events with equal times satisfy either order, unless one source instance
 * numbered them (X2) or the rule is strict. With `reuse` one event may stand at places of different steps.
 */
export function precedes(before: StepHit, after: StepHit, rule: WindowRule): boolean {
  const apartMs = after.timeMs - before.timeMs;
  if (apartMs < 0 || apartMs > rule.gapMs) return false;
  if (before.id === after.id) return apartMs === 0 && rule.reuse && !rule.strict && before.step !== after.step;
  if (apartMs > 0) return true;
  if (rule.strict) return false;
  const numbered = before.instance !== null && before.instance === after.instance;
  return !(numbered && before.sequence !== null && after.sequence !== null) || before.sequence < after.sequence;
}

/** Latest chain starts of one place, over the hits within the gap: a queue of falling starts, O(1) amortised. */
type Best = LatestStart & { add(timeMs: number, startMs: number): void };
/** The latest start of a chain that ends within the gap before the time. */
type LatestStart = { before(timeMs: number): number };

function createBest(gapMs: number): Best {
  if (gapMs === Number.POSITIVE_INFINITY) {
    let best = Number.NEGATIVE_INFINITY;
    return {
      add(_, startMs) {
        if (startMs > best) best = startMs;
      },
      before: () => best,
    };
  }
  let queue: { timeMs: number; startMs: number }[] = [];
  let head = 0;
  return {
    add(timeMs, startMs) {
      if (startMs === Number.NEGATIVE_INFINITY) return;
      while (queue.length > head && (queue.at(-1) as { startMs: number }).startMs <= startMs) queue.pop();
      queue.push({ timeMs, startMs });
    },
    before(timeMs) {
      while (head < queue.length && (queue[head] as { timeMs: number }).timeMs < timeMs - gapMs) head++;
      if (head > 64) {
        queue = queue.slice(head);
        head = 0;
      }
      return queue[head]?.startMs ?? Number.NEGATIVE_INFINITY;
    },
  };
}

/** Hits of the latest instant wait until it is over: later places may build on them. */
const INSTANT_HITS_MAX = 1024;

/** @see Tail */
export function orderedTail(rule: WindowRule): Tail {
  const places = rule.chain.length;
  const best = rule.chain.map(() => createBest(rule.gapMs));
  const last = places - 1;
  let instant: Hit[] = [];
  let starts = new Float64Array(0);
  /** Whether `starts` lacks hits of the instant. */
  let isStale = false;
  /** Latest start of a whole chain that ends in the instant. */
  let startMs = Number.NEGATIVE_INFINITY;
  let counts = new Map<number, number>();
  let isOrdering = createOrderCheck(rule);
  let isSimple = true;
  const commit = (): void => {
    if (isStale) starts = startsOfInstant(instant, rule, best);
    for (const [index, hit] of instant.entries()) {
      for (let place = 0; place < places; place++) {
        if (rule.chain[place] === hit.step) best[place]?.add(hit.timeMs, starts[index * places + place] as number);
      }
    }
    instant = [];
    isStale = false;
    startMs = Number.NEGATIVE_INFINITY;
    counts = new Map();
    isOrdering = createOrderCheck(rule);
    isSimple = true;
  };
  return {
    push(hit) {
      if (instant[0] && instant[0].timeMs !== hit.timeMs) commit();
      instant.push(hit);
      if (instant.length > INSTANT_HITS_MAX) return undefined;
      const { timeMs } = hit;
      counts.set(hit.step, (counts.get(hit.step) ?? 0) + 1);
      isSimple &&= !isOrdering(hit);
      // The starts of single hits are needed when the instant is over: made at every hit, those of a busy second would cost
      // the square of it. No chain that ends here can start later than now.
      isStale = isSimple || startMs === timeMs;
      if (isSimple) {
        if (counts.has(rule.chain[last] as number)) {
          const before = last === 0 ? timeMs : (best[last - 1] as LatestStart).before(timeMs);
          startMs = rule.strict ? before : startTogether(counts, last, { rule, best, timeMs });
        }
      } else if (!isStale) {
        starts = startsOfInstant(instant, rule, best);
        for (let index = 0; index < instant.length; index++) {
          startMs = Math.max(startMs, starts[index * places + last] as number);
        }
      }
      const toMs = startMs + rule.spanMs;
      return timeMs <= toMs ? { fromMs: timeMs, toMs } : null;
    },
  };
}

/**
 * For every hit and place the latest possible start of a chain that ends there, -Infinity when there is none; at
 * `index * places + place`. One pass in total order.
 */
export function latestStarts(hits: readonly StepHit[], rule: WindowRule): Float64Array<ArrayBuffer> {
  const places = rule.chain.length;
  const all = new Float64Array(hits.length * places).fill(Number.NEGATIVE_INFINITY);
  const best = rule.chain.map(() => createBest(rule.gapMs));
  for (let from = 0; from < hits.length; ) {
    let to = from + 1;
    while (to < hits.length && (hits[to] as StepHit).timeMs === (hits[from] as StepHit).timeMs) to++;
    const starts = startsOfInstant(hits.slice(from, to), rule, best);
    all.set(starts, from * places);
    for (let index = from; index < to; index++) {
      const hit = hits[index] as StepHit;
      for (let place = 0; place < places; place++) {
        if (rule.chain[place] === hit.step) best[place]?.add(hit.timeMs, all[index * places + place] as number);
      }
    }
    from = to;
  }
  return all;
}

/** Hits of one instant: later places may build on earlier ones of the same instant, with distinct events. */
export function startsOfInstant(
  hits: readonly StepHit[],
  rule: WindowRule,
  best: readonly LatestStart[],
): Float64Array<ArrayBuffer> {
  const places = rule.chain.length;
  const starts = new Float64Array(hits.length * places).fill(Number.NEGATIVE_INFINITY);
  const { timeMs } = hits[0] as StepHit;
  const isAlone = hits.length === 1 || rule.strict;
  const isSimple = isAlone || !hits.some(createOrderCheck(rule));
  const counts = new Map<number, number>();
  for (const { step } of hits) counts.set(step, (counts.get(step) ?? 0) + 1);
  for (let place = 0; place < places; place++) {
    const step = rule.chain[place];
    const before = place === 0 ? timeMs : (best[place - 1] as LatestStart).before(timeMs);
    const together = !isAlone && isSimple ? startTogether(counts, place, { rule, best, timeMs }) : before;
    for (let index = 0; index < hits.length; index++) {
      if ((hits[index] as StepHit).step !== step) continue;
      starts[index * places + place] = isSimple
        ? together
        : startInInstant(hits, { index, place, rule, best, starts, budget: { left: SEARCH_MAX }, used: new Set() });
    }
  }
  return starts;
}

/**
 * Says of the hits of one instant, one after the other, whether order within it matters from this one on: the event serves
 * several steps, or its source numbered several. A strict rule has no order within an instant.
 */
function createOrderCheck(rule: WindowRule): (hit: StepHit) => boolean {
  if (rule.strict) return () => false;
  const ids = new Set<string>();
  const instances = new Set<string>();
  return ({ id, instance, sequence }) => {
    if (!rule.reuse) {
      if (ids.has(id)) return true;
      ids.add(id);
    }
    if (instance === null || sequence === null) return false;
    if (instances.has(instance)) return true;
    instances.add(instance);
    return false;
  };
}

/** Any order is fine: places `from`..`place` fit into the instant when there are enough events of each step. */
function startTogether(
  counts: ReadonlyMap<number, number>,
  place: number,
  { rule, best, timeMs }: { rule: WindowRule; best: readonly LatestStart[]; timeMs: number },
): number {
  const left = new Map(counts);
  let latest = Number.NEGATIVE_INFINITY;
  for (let from = place; from >= 0; from--) {
    const step = rule.chain[from] as number;
    const count = left.get(step) ?? 0;
    if (count === 0) break;
    left.set(step, count - 1);
    latest = Math.max(latest, from === 0 ? timeMs : (best[from - 1] as LatestStart).before(timeMs));
  }
  return latest;
}

/** Steps of a search among the events of one instant before it takes what it has found. */
const SEARCH_MAX = 4096;

type Search = {
  readonly index: number;
  readonly place: number;
  readonly rule: WindowRule;
  readonly best: readonly LatestStart[];
  readonly starts: Float64Array;
  readonly budget: { left: number };
  readonly used: Set<string>;
};

/** The latest start over chains that reach a hit through this instant's other events; each event at most once. */
function startInInstant(hits: readonly StepHit[], search: Search): number {
  const { index, place, rule, best, starts, budget, used } = search;
  const hit = hits[index] as StepHit;
  if (place === 0) return hit.timeMs;
  const places = rule.chain.length;
  const key = usedKey(hit, rule);
  used.add(key);
  let latest = (best[place - 1] as LatestStart).before(hit.timeMs);
  for (let other = 0; other < hits.length && latest !== hit.timeMs && budget.left-- > 0; other++) {
    const before = hits[other] as StepHit;
    if (before.step !== rule.chain[place - 1] || used.has(usedKey(before, rule))) continue;
    if (!precedes(before, hit, rule) || (starts[other * places + place - 1] as number) <= latest) continue;
    latest = Math.max(latest, startInInstant(hits, { ...search, index: other, place: place - 1 }));
  }
  used.delete(key);
  return latest;
}

function usedKey(hit: StepHit, rule: WindowRule): string {
  return rule.reuse ? `${hit.step}:${hit.id}` : hit.id;
}

/**
 * X10.6: the latest last step of the window, then the latest earlier step before it, and so on: the largest chain
 * in the total order, read from its end.
 */
export function orderedEvidence<Of extends StepHit>(
  hits: readonly Of[],
  rule: WindowRule,
  window: Segment,
): readonly Of[] {
  const places = rule.chain.length;
  const starts = latestStarts(hits, rule);
  const chain: Of[] = [];
  const used = new Set<string>();
  const extend = (place: number, before: number): boolean => {
    if (place < 0) return true;
    for (let index = before; index >= 0; index--) {
      const hit = hits[index] as Of;
      if (hit.timeMs < window.fromMs) return false;
      if (hit.step !== rule.chain[place] || hit.timeMs > window.toMs) continue;
      if ((starts[index * places + place] as number) < window.fromMs) continue;
      const next = chain.at(-1);
      const key = usedKey(hit, rule);
      if (used.has(key) || (next && !precedes(hit, next, rule))) continue;
      chain.push(hit);
      used.add(key);
      if (extend(place - 1, lastOfInstant(hits, index))) return true;
      chain.pop();
      used.delete(key);
    }
    return false;
  };
  return extend(places - 1, hits.length - 1) ? chain.reverse() : [];
}

/** Events of one instant may stand in either order, so the search for an earlier step begins at the instant's end. */
function lastOfInstant(hits: readonly StepHit[], index: number): number {
  let last = index;
  while (last + 1 < hits.length && (hits[last + 1] as StepHit).timeMs === (hits[index] as StepHit).timeMs) last++;
  return last;
}
