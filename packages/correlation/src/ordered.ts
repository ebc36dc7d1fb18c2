import type { Hit } from './hit.ts';
import type { Segment } from './segment.ts';
import type { WindowRule } from './window-rule.ts';

/**
 * temporal_ordered. A chain is one hit per step, of distinct events, times not falling; events with equal times
 * satisfy either order, unless one source instance numbered them (X2) or the rule is strict.
 */
export function precedes(before: Hit, after: Hit, strict: boolean): boolean {
  if (before.timeMs !== after.timeMs) return before.timeMs < after.timeMs && before.id !== after.id;
  if (strict || before.id === after.id) return false;
  const numbered = before.instance !== null && before.instance === after.instance;
  return !(numbered && before.sequence !== null && after.sequence !== null) || before.sequence < after.sequence;
}

/**
 * For every hit the latest possible start of a chain that ends in it, -Infinity when there is none. One pass in
 * total order: O(hits), plus ties squared.
 */
export function latestStarts(hits: readonly Hit[], rule: WindowRule): Float64Array {
  const starts = new Float64Array(hits.length).fill(Number.NEGATIVE_INFINITY);
  const bestBefore = new Float64Array(rule.threshold).fill(Number.NEGATIVE_INFINITY);
  for (let from = 0; from < hits.length; ) {
    let to = from + 1;
    while (to < hits.length && (hits[to] as Hit).timeMs === (hits[from] as Hit).timeMs) to++;
    startsOfTie(hits, { from, to, rule, bestBefore, starts });
    for (let index = from; index < to; index++) {
      const { step } = hits[index] as Hit;
      bestBefore[step] = Math.max(bestBefore[step] as number, starts[index] as number);
    }
    from = to;
  }
  return starts;
}

type Tie = {
  readonly from: number;
  readonly to: number;
  readonly rule: WindowRule;
  readonly bestBefore: Float64Array;
  readonly starts: Float64Array;
};

/** Hits of one instant: later steps may build on earlier ones of the same instant, with distinct events. */
function startsOfTie(hits: readonly Hit[], tie: Tie): void {
  const { from, to, rule, bestBefore, starts } = tie;
  for (let step = 0; step < rule.threshold; step++) {
    for (let index = from; index < to; index++) {
      const hit = hits[index] as Hit;
      if (hit.step !== step) continue;
      if (step === 0) starts[index] = hit.timeMs;
      else if (to - from === 1 || rule.strict) starts[index] = bestBefore[step - 1] as number;
      else starts[index] = startInTie(hits, hit, new Set([hit.id]), tie);
    }
  }
}

/** The latest start over chains that reach `hit` through this instant's other events; each event at most once. */
function startInTie(hits: readonly Hit[], hit: Hit, used: Set<string>, tie: Tie): number {
  if (hit.step === 0) return hit.timeMs;
  let best = tie.bestBefore[hit.step - 1] as number;
  for (let index = tie.from; index < tie.to; index++) {
    const before = hits[index] as Hit;
    if (before.step !== hit.step - 1 || used.has(before.id) || !precedes(before, hit, false)) continue;
    if ((tie.starts[index] as number) <= best) continue;
    used.add(before.id);
    best = Math.max(best, startInTie(hits, before, used, tie));
    used.delete(before.id);
    if (best === hit.timeMs) break;
  }
  return best;
}

/** Where c(t) holds: from each last step to the latest start of its chain plus the span. In order of their left ends. */
export function orderedTruth(hits: readonly Hit[], rule: WindowRule): Segment[] {
  const segments: Segment[] = [];
  const starts = latestStarts(hits, rule);
  for (let index = 0; index < hits.length; index++) {
    const hit = hits[index] as Hit;
    if (hit.step !== rule.threshold - 1) continue;
    const toMs = (starts[index] as number) + rule.spanMs;
    if (toMs >= hit.timeMs) segments.push({ fromMs: hit.timeMs, toMs });
  }
  return segments;
}

/**
 * X10.6: the latest last step of the window, then the latest earlier step before it, and so on: the largest chain
 * in the total order, read from its end.
 */
export function orderedEvidence(hits: readonly Hit[], rule: WindowRule, window: Segment): readonly Hit[] {
  const starts = latestStarts(hits, rule);
  const chain: Hit[] = [];
  const used = new Set<string>();
  const extend = (step: number, before: number): boolean => {
    if (step < 0) return true;
    for (let index = before; index >= 0; index--) {
      const hit = hits[index] as Hit;
      if (hit.timeMs < window.fromMs) return false;
      if (hit.step !== step || hit.timeMs > window.toMs || (starts[index] as number) < window.fromMs) continue;
      const next = chain.at(-1);
      if (used.has(hit.id) || (next && !precedes(hit, next, rule.strict))) continue;
      chain.push(hit);
      used.add(hit.id);
      if (extend(step - 1, lastOfInstant(hits, index))) return true;
      chain.pop();
      used.delete(hit.id);
    }
    return false;
  };
  return extend(rule.threshold - 1, hits.length - 1) ? chain.reverse() : [];
}

/** Events of one instant may stand in either order, so the search for an earlier step begins at the instant's end. */
function lastOfInstant(hits: readonly Hit[], index: number): number {
  let last = index;
  while (last + 1 < hits.length && (hits[last + 1] as Hit).timeMs === (hits[index] as Hit).timeMs) last++;
  return last;
}
