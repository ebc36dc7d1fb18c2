import type { Hit, StepHit } from './hit.ts';
import type { Segment } from './segment.ts';
import type { Tail } from './tail-type.ts';
import type { WindowRule } from './window-rule.ts';

/**
 * temporal. A set of steps holds when there are distinct events, one for each of them (`reuse`: one event may serve several).
 * Of every step the latest `steps` hits are enough to know that: no matching needs an older one (Hall's theorem).
 */
export function temporalTail(rule: WindowRule): Tail {
  const latest: Hit[][] = Array.from({ length: rule.steps }, () => []);
  let shared = false;
  return {
    push(hit) {
      if (!rule.reuse && !shared) shared = isAmong(latest, hit);
      const ofStep = latest[hit.step];
      if (!ofStep) return null;
      ofStep.push(hit);
      if (ofStep.length > rule.steps) ofStep.shift();
      const startMs = shared ? latestMatching(latest, rule) : latestStart(latest, rule);
      const toMs = startMs + rule.spanMs;
      return hit.timeMs <= toMs ? { fromMs: hit.timeMs, toMs } : null;
    },
  };
}

/** Whether the event is there for another step already: copies of an event have one time. */
function isAmong(latest: readonly (readonly Hit[])[], hit: Hit): boolean {
  for (const hits of latest) {
    for (let index = hits.length - 1; index >= 0; index--) {
      const other = hits[index] as Hit;
      if (other.timeMs !== hit.timeMs) break;
      if (other.id === hit.id) return true;
    }
  }
  return false;
}

/** When no event serves two steps: of the sufficient sets the one whose oldest latest hit is youngest. */
function latestStart(latest: readonly (readonly Hit[])[], rule: WindowRule): number {
  let best = Number.NEGATIVE_INFINITY;
  for (const set of rule.sets) {
    let startMs = Number.POSITIVE_INFINITY;
    for (const step of set) startMs = Math.min(startMs, latest[step]?.at(-1)?.timeMs ?? Number.NEGATIVE_INFINITY);
    if (startMs > best) best = startMs;
  }
  return best;
}

/** The largest time from which on a sufficient set still has distinct events. */
export function latestMatching(latest: readonly (readonly StepHit[])[], rule: WindowRule): number {
  const times = [...new Set(latest.flat().map((hit) => hit.timeMs))].sort((a, b) => b - a);
  for (const fromMs of times) {
    const inside = latest.map((hits) => hits.filter((hit) => hit.timeMs >= fromMs));
    if (rule.sets.some((set) => matchingOf(set, inside, rule) !== null)) return fromMs;
  }
  return Number.NEGATIVE_INFINITY;
}

/**
 * The lexicographically latest choice of distinct events for the steps, lower steps first; null when there is none. `latest`
 * holds the hits per step, oldest first.
 */
function matchingOf<Of extends StepHit>(
  set: readonly number[],
  latest: readonly (readonly Of[])[],
  rule: WindowRule,
): readonly Of[] | null {
  const taken = new Map<string, number>();
  const chosen: Of[] = [];
  for (const [place, step] of set.entries()) {
    const hits = latest[step] ?? [];
    let found = false;
    for (let index = hits.length - 1; index >= 0 && !found; index--) {
      const hit = hits[index] as Of;
      if (!rule.reuse && taken.has(hit.id)) continue;
      taken.set(hit.id, place);
      if (rule.reuse || isCompletable(set.slice(place + 1), latest, new Set(taken.keys()))) {
        chosen.push(hit);
        found = true;
      } else taken.delete(hit.id);
    }
    if (!found) return null;
  }
  return chosen;
}

/** Whether the remaining steps still have distinct events: augmenting paths, O(steps cubed). */
function isCompletable(
  set: readonly number[],
  latest: readonly (readonly StepHit[])[],
  used: ReadonlySet<string>,
): boolean {
  const owner = new Map<string, number>();
  const assign = (step: number, seen: Set<string>): boolean => {
    for (const { id } of latest[step] ?? []) {
      if (used.has(id) || seen.has(id)) continue;
      seen.add(id);
      const before = owner.get(id);
      if (before !== undefined && !assign(before, seen)) continue;
      owner.set(id, step);
      return true;
    }
    return false;
  };
  return set.every((step) => assign(step, new Set()));
}

/** Semantics section 3: evidence of the first sufficient set, in total order. Empty only if c does not hold there. */
export function temporalEvidence<Of extends StepHit>(
  hits: readonly Of[],
  rule: WindowRule,
  window: Segment,
): readonly Of[] {
  const latest: Of[][] = Array.from({ length: rule.steps }, () => []);
  for (const hit of hits) {
    if (hit.timeMs < window.fromMs || hit.timeMs > window.toMs) continue;
    const ofStep = latest[hit.step];
    ofStep?.push(hit);
    if (ofStep && ofStep.length > rule.steps) ofStep.shift();
  }
  for (const set of rule.sets) {
    if (!set.every((step) => (latest[step]?.length ?? 0) > 0)) continue;
    const found = matchingOf(set, latest, rule);
    if (found) return [...found].sort((a, b) => hits.indexOf(a) - hits.indexOf(b));
  }
  return [];
}
