import type { Bound, CorrelationDefinition, StepExpression } from '@tracehound/sigma';

/** A match of one group as explanations look at it. */
export type GroupHit = {
  readonly id: string;
  readonly timeMs: number;
  readonly step: number;
  readonly value: string | null;
  readonly number: number | null;
};

/** The window of a group in which its condition came closest to hold. */
export type NearMiss = {
  /** What the condition looks at: events, values, a sum, an average, steps. */
  readonly measure: number;
  /** How far off; 0 when it held. */
  readonly distance: number;
  readonly fromMs: number;
  readonly toMs: number;
  readonly hits: readonly GroupHit[];
};

/** What would have made it fire. Null where no such change does. */
export type Counterfactual = {
  /** A bound that the closest window meets. */
  readonly bound: Bound | null;
  /** The smallest time span in which the group has all that is asked for, where that is longer than the rule's. */
  readonly spanMs: number | null;
};

/** The closest window: smallest distance, then the earliest. Hits in total order. O(hits * hits per window). */
export function nearMissOf(definition: CorrelationDefinition, hits: readonly GroupHit[]): NearMiss | null {
  let best: NearMiss | null = null;
  for (const [from, to] of windowsOf(definition, hits)) {
    const inside = hits.slice(from, to);
    const measure = measureOf(definition, inside);
    const distance = distanceOf(definition, measure);
    if (best && distance >= best.distance) continue;
    const [first, last] = [inside[0] as GroupHit, inside.at(-1) as GroupHit];
    best = { measure, distance, fromMs: first.timeMs, toMs: last.timeMs, hits: inside };
    if (distance === 0) break;
  }
  return best;
}

/** Index ranges of the windows that end with a hit. */
function* windowsOf(
  definition: CorrelationDefinition,
  hits: readonly GroupHit[],
): Generator<readonly [number, number]> {
  const { window, spanMs } = definition;
  let from = 0;
  for (const [index, hit] of hits.entries()) {
    while (!together(hits[from] as GroupHit, hit)) from++;
    if (window.kind === 'session' && index > 0 && hit.timeMs - (hits[index - 1] as GroupHit).timeMs > window.gapMs) {
      from = index;
    }
    yield [from, index + 1];
  }

  function together(a: GroupHit, b: GroupHit): boolean {
    return window.kind === 'tumbling'
      ? Math.floor(a.timeMs / spanMs) === Math.floor(b.timeMs / spanMs)
      : b.timeMs - a.timeMs <= spanMs;
  }
}

/** What the bounds of a rule are held against; for temporal types how many of the steps asked for are there. */
export function measureOf(definition: CorrelationDefinition, hits: readonly GroupHit[]): number {
  switch (definition.type) {
    case 'event_count':
      return new Set(hits.map((hit) => hit.id)).size;
    case 'value_count':
      return new Set(hits.map((hit) => hit.value)).size;
    case 'value_sum':
      return sum(numbersOf(hits));
    case 'value_avg': {
      const numbers = numbersOf(hits);
      return numbers.length === 0 ? 0 : sum(numbers) / numbers.length;
    }
    case 'value_percentile':
      return percentile(numbersOf(hits), definition.percentile ?? 50);
    case 'value_rarity':
      return smallestShare(hits);
    case 'temporal':
      return stepsHeld(definition, hits).size;
    case 'temporal_ordered':
      return longestChain(definition, hits);
  }
}

function distanceOf(definition: CorrelationDefinition, measure: number): number {
  const needed = stepsAsked(definition);
  if (needed !== null) return Math.max(0, needed - measure);
  return Math.max(0, ...definition.bounds.map((bound) => distanceTo(bound, measure)));
}

function distanceTo({ relation, value }: Bound, measure: number): number {
  switch (relation) {
    case 'gte':
      return Math.max(0, value - measure);
    case 'gt':
      return measure > value ? 0 : Math.max(value - measure, Number.MIN_VALUE) + (Number.isInteger(value) ? 1 : 0);
    case 'lte':
      return Math.max(0, measure - value);
    case 'lt':
      return measure < value ? 0 : Math.max(measure - value, Number.MIN_VALUE) + (Number.isInteger(value) ? 1 : 0);
    case 'eq':
      return Math.abs(measure - value);
    case 'neq':
      return measure === value ? 1 : 0;
  }
}

/** Steps a temporal rule needs, in the easiest way; null for the other types. */
export function stepsAsked(definition: CorrelationDefinition): number | null {
  if (definition.type === 'temporal_ordered') return chainSteps(definition).length;
  return definition.temporal ? smallestNeed(definition.temporal) : null;
}

function smallestNeed(expression: StepExpression): number {
  switch (expression.op) {
    case 'step':
      return 1;
    case 'not':
      return 0;
    case 'and':
      return expression.of.reduce((total, part) => total + smallestNeed(part), 0);
    case 'or':
      return Math.min(...expression.of.map(smallestNeed));
    case 'at_least':
      return expression.count;
  }
}

/** Positive steps that have a hit, at most as many as needed of each part. */
function stepsHeld(definition: CorrelationDefinition, hits: readonly GroupHit[]): ReadonlySet<number> {
  const present = new Set(hits.map((hit) => hit.step));
  return new Set(definition.temporal ? bestSteps(definition.temporal, present) : []);
}

function bestSteps(expression: StepExpression, present: ReadonlySet<number>): readonly number[] {
  switch (expression.op) {
    case 'step':
      return present.has(expression.step) ? [expression.step] : [];
    case 'not':
      return [];
    case 'and':
      return expression.of.flatMap((part) => bestSteps(part, present));
    case 'or':
      return expression.of
        .map((part) => bestSteps(part, present))
        .reduce((best, part) => (part.length > best.length ? part : best), []);
    case 'at_least':
      return expression.steps.filter((step) => present.has(step)).slice(0, expression.count);
  }
}

/** The steps of a chain, one entry for each run. */
export function chainSteps(definition: CorrelationDefinition): readonly number[] {
  return definition.ordered.flatMap(({ step, runs, negated }) => (negated ? [] : new Array<number>(runs).fill(step)));
}

/** Length of the longest prefix of the steps that happened in order; greedy from the left is longest. */
function longestChain(definition: CorrelationDefinition, hits: readonly GroupHit[]): number {
  const steps = chainSteps(definition);
  let best = 0;
  const used = new Set<string>();
  for (const hit of hits) {
    if (hit.step !== steps[best] || (used.has(hit.id) && !definition.reuse)) continue;
    used.add(hit.id);
    best++;
    if (best === steps.length) break;
  }
  return best;
}

function numbersOf(hits: readonly GroupHit[]): number[] {
  const byId = new Map(hits.map((hit) => [hit.id, hit.number ?? 0]));
  return [...byId.values()];
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

/** Linear interpolation between closest ranks (semantics section 2). */
function percentile(numbers: readonly number[], rank: number): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  if (sorted.length === 0) return 0;
  const place = (rank / 100) * (sorted.length - 1);
  const low = sorted[Math.floor(place)] as number;
  const high = sorted[Math.ceil(place)] as number;
  return low + (high - low) * (place - Math.floor(place));
}

function smallestShare(hits: readonly GroupHit[]): number {
  const ids = new Map<string | null, Set<string>>();
  for (const hit of hits) ids.set(hit.value, (ids.get(hit.value) ?? new Set()).add(hit.id));
  const all = new Set(hits.map((hit) => hit.id)).size;
  return all === 0 ? 0 : (100 * Math.min(...[...ids.values()].map((some) => some.size))) / all;
}

/** What else would have let the group fire, given the window in which it came closest. */
export function counterfactualOf(
  definition: CorrelationDefinition,
  hits: readonly GroupHit[],
  closest: NearMiss,
): Counterfactual {
  const spanMs = smallestSpan(definition, hits);
  return {
    bound: closest.distance > 0 ? boundMet(definition, closest.measure) : null,
    spanMs: spanMs !== null && spanMs > definition.spanMs ? spanMs : null,
  };
}

function boundMet({ bounds }: CorrelationDefinition, measure: number): Bound | null {
  const [bound, ...more] = bounds;
  if (!bound || more.length > 0 || measure === 0) return null;
  const isLower = bound.relation === 'gte' || bound.relation === 'gt';
  const isUpper = bound.relation === 'lte' || bound.relation === 'lt';
  if (!isLower && !isUpper) return null;
  return { relation: isLower ? 'gte' : 'lte', value: measure };
}

/** Shortest stretch of the whole record in which the condition holds; null for types where length is not what lacks. */
function smallestSpan(definition: CorrelationDefinition, hits: readonly GroupHit[]): number | null {
  const { type } = definition;
  if (type === 'value_avg' || type === 'value_percentile' || type === 'value_rarity') return null;
  let best: number | null = null;
  let from = 0;
  for (let to = 1; to <= hits.length; to++) {
    while (from < to && distanceOf(definition, measureOf(definition, hits.slice(from, to))) === 0) {
      const spanMs = (hits[to - 1] as GroupHit).timeMs - (hits[from] as GroupHit).timeMs;
      if (best === null || spanMs < best) best = spanMs;
      from++;
    }
  }
  return best;
}
