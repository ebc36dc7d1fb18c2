import type { StepHit } from './hit.ts';
import type { WindowRule } from './window-rule.ts';

/** Places of a chain up to which thinning knows which hits later ones may build on. */
export const SHORT_CHAIN_MAX = 8;

/** A matching never needs more than the latest hits of a step, as many as there are steps. */
export function latestOfSteps<Of extends StepHit>(
  hits: readonly Of[],
  cutMs: number,
  rule: WindowRule,
): ReadonlySet<Of> {
  const kept = new Set<Of>();
  for (let step = 0; step < rule.steps; step++) {
    const below = hits.filter((hit) => hit.step === step && hit.timeMs <= cutMs);
    for (const hit of below.slice(-rule.steps)) kept.add(hit);
  }
  return kept;
}

/** For every place the latest hits below the cut and below each kept hit of the next place. */
export function latestOfPlaces<Of extends StepHit>(
  hits: readonly Of[],
  cutMs: number,
  rule: WindowRule,
): ReadonlySet<Of> {
  const kept = new Set<Of>();
  const places = rule.chain.length;
  let successors: Of[] = [];
  for (let place = places - 1; place >= 0; place--) {
    const below = hits.filter((hit) => hit.step === rule.chain[place] && hit.timeMs <= cutMs);
    const found = new Set<Of>();
    for (const bound of [cutMs, ...successors.map((hit) => hit.timeMs)]) {
      for (const hit of below.filter((candidate) => candidate.timeMs <= bound).slice(-places)) found.add(hit);
    }
    for (const hit of found) kept.add(hit);
    successors = places <= SHORT_CHAIN_MAX ? [...found] : [...found].slice(-places);
  }
  return kept;
}
