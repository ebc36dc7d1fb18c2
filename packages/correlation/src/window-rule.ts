import type { Bound, CorrelationDefinition, StepExpression } from '@tracehound/sigma';

/** What the episode machinery needs to know of a correlation `decided: 'arrival'`. Times in milliseconds. */
export type WindowRule = {
  readonly type: EpisodeType;
  readonly spanMs: number;
  /** event_count: events; value_count: distinct values; temporal types: hits below which nothing can be true. */
  readonly threshold: number;
  readonly strict: boolean;
  /** Frame length F (X10.3): episodes are cut at its multiples. */
  readonly frameMs: number;
  /** Episodes are also cut this long after their left end; null for never. */
  readonly suppressMs: number | null;
  /** temporal_ordered: the step of each place of the chain, runs written out. */
  readonly chain: readonly number[];
  /** temporal_ordered: most time between neighbours; Infinity for none. */
  readonly gapMs: number;
  /** One event may serve several steps. */
  readonly reuse: boolean;
  /** temporal: sets of steps of which one is enough, by (size, bitmask). */
  readonly sets: readonly (readonly number[])[];
  /** value_sum: what the sum must reach. */
  readonly sum: { readonly value: number; readonly inclusive: boolean };
  /** Number of steps that hits may carry. */
  readonly steps: number;
};

export type EpisodeType = 'event_count' | 'value_count' | 'value_sum' | 'temporal' | 'temporal_ordered';

const DAY_MS = 86_400_000;

/** F = the smallest multiple of the span that is at least 24 h, so that a long attack gives one alert a day (X10.3). */
export function frameOf(spanMs: number): number {
  return Math.ceil(DAY_MS / spanMs) * spanMs;
}

export function windowRuleOf(definition: CorrelationDefinition): WindowRule {
  const chain = definition.ordered
    .filter(({ negated }) => !negated)
    .flatMap(({ step, runs }) => Array.from({ length: runs }, () => step));
  const sets = definition.temporal ? sufficientSets(definition.temporal) : [];
  const used = [...chain, ...sets.flat()];
  return {
    type: definition.type as EpisodeType,
    spanMs: definition.spanMs,
    threshold: thresholdOf(definition, { chain, sets }),
    strict: definition.strict,
    frameMs: frameOf(definition.spanMs),
    suppressMs: definition.suppressMs,
    chain,
    gapMs: definition.gapMs ?? Number.POSITIVE_INFINITY,
    reuse: definition.reuse,
    sets,
    sum: sumOf(definition.bounds),
    steps: used.length === 0 ? 1 : Math.max(...used) + 1,
  };
}

function thresholdOf(
  definition: CorrelationDefinition,
  { chain, sets }: { chain: readonly number[]; sets: readonly (readonly number[])[] },
): number {
  switch (definition.type) {
    case 'event_count':
    case 'value_count':
      return leastCount(definition.bounds);
    case 'temporal_ordered':
      return definition.reuse ? new Set(chain).size : chain.length;
    case 'temporal':
      return Math.max(1, sets[0]?.length ?? 1);
    default:
      return 1;
  }
}

/** The least whole number that meets lower bounds, at least 1. */
export function leastCount(bounds: readonly Bound[]): number {
  const least = bounds.map(({ relation, value }) => (relation === 'gt' ? Math.floor(value) + 1 : Math.ceil(value)));
  return Math.max(1, ...least);
}

/** The tightest of several lower bounds. */
function sumOf(bounds: readonly Bound[]): { value: number; inclusive: boolean } {
  const [first, ...others] = bounds;
  let tightest = { value: first?.value ?? 0, inclusive: first?.relation !== 'gt' };
  for (const { value, relation } of others) {
    if (value > tightest.value || (value === tightest.value && relation === 'gt')) {
      tightest = { value, inclusive: relation !== 'gt' };
    }
  }
  return tightest;
}

/** The minimal sets of steps that make a positive expression true, in ascending (size, bitmask) order. */
export function sufficientSets(expression: StepExpression): readonly (readonly number[])[] {
  const sets = [...new Map(productOf(expression).map((set) => [set.join(), set])).values()].sort(compareSets);
  const minimal: (readonly number[])[] = [];
  for (const set of sets)
    if (!minimal.some((smaller) => smaller.every((step) => set.includes(step)))) minimal.push(set);
  return minimal;
}

function productOf(expression: StepExpression): readonly (readonly number[])[] {
  switch (expression.op) {
    case 'step':
      return [[expression.step]];
    case 'or':
      return expression.of.flatMap(productOf);
    case 'and':
      return expression.of
        .map(productOf)
        .reduce((left, right) => left.flatMap((a) => right.map((b) => union(a, b))), [[]] as (readonly number[])[]);
    case 'at_least':
      return subsets(
        [...new Set(expression.steps)].sort((a, b) => a - b),
        expression.count,
      );
    case 'not':
      return [];
  }
}

function union(a: readonly number[], b: readonly number[]): readonly number[] {
  return [...new Set([...a, ...b])].sort((x, y) => x - y);
}

function subsets(steps: readonly number[], count: number): readonly (readonly number[])[] {
  if (count <= 0) return [[]];
  return steps.flatMap((step, index) => subsets(steps.slice(index + 1), count - 1).map((rest) => [step, ...rest]));
}

/** By size, then by bitmask: the highest step in which two sets differ decides. */
function compareSets(a: readonly number[], b: readonly number[]): number {
  if (a.length !== b.length) return a.length - b.length;
  for (let index = a.length - 1; index >= 0; index--) {
    const difference = (a[index] as number) - (b[index] as number);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** X10.9: an open alert speaks at most once a minute of watermark. */
export const UPDATE_MS = 60_000;

/**
 * Event time from which a rebuild must read (X12), so that everything that can still influence an alert above
 * `watermarkMs` is seen: frame_start(W - 2 span) - span. A rule whose span is below a minute goes two minutes back, because
 * updates keep the rhythm of minutes. The caller starts at the first record of the matches log whose watermark is at least
 * this less one span, or that carries an event at least as young, and mutes what comes before the base.
 */
export function rebuildFromMs(watermarkMs: number, spanMs: number): number {
  const frameMs = frameOf(spanMs);
  return Math.floor((watermarkMs - 2 * Math.max(spanMs, UPDATE_MS)) / frameMs) * frameMs - spanMs;
}
