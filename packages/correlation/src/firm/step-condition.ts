import type { StepExpression } from '@tracehound/sigma';
import { CorrelationError } from '../errors.ts';

/** All positive steps together and no hit of a negated one. Both in ascending order. */
export type Conjunction = { readonly positive: readonly number[]; readonly negative: readonly number[] };

/** A condition with more conjunctions is refused: `at_least` of many steps inside a larger expression. */
const CONJUNCTIONS_MAX = 20_000;

/** Disjunctive normal form (semantics section 2), in ascending (size, bitmask) order of the positive steps. */
export function conjunctionsOf(expression: StepExpression): readonly Conjunction[] {
  const unique = new Map<string, Conjunction>();
  for (const { positive, negative } of expand(expression, false)) {
    const conjunction = { positive: ascending(positive), negative: ascending(negative) };
    if (conjunction.positive.some((step) => conjunction.negative.includes(step))) continue;
    unique.set(JSON.stringify(conjunction), conjunction);
  }
  return [...unique.values()].sort((a, b) => compareSteps(a.positive, b.positive));
}

function expand(expression: StepExpression, negated: boolean): readonly Conjunction[] {
  switch (expression.op) {
    case 'step':
      return [literal(expression.step, negated)];
    case 'not':
      return expand(expression.of, !negated);
    case 'and':
    case 'or': {
      const parts = expression.of.map((part) => expand(part, negated));
      return (expression.op === 'and') === negated ? parts.flat() : product(parts);
    }
    case 'at_least': {
      // Not at least n of k: at least k - n + 1 of them are absent.
      const { steps, count } = expression;
      const size = negated ? steps.length - count + 1 : count;
      return subsets(steps, Math.max(0, size)).map((subset) => conjunctionOf(subset, negated));
    }
  }
}

function literal(step: number, negated: boolean): Conjunction {
  return conjunctionOf([step], negated);
}

function conjunctionOf(steps: readonly number[], negated: boolean): Conjunction {
  return negated ? { positive: [], negative: steps } : { positive: steps, negative: [] };
}

function product(parts: readonly (readonly Conjunction[])[]): readonly Conjunction[] {
  let all: Conjunction[] = [{ positive: [], negative: [] }];
  for (const part of parts) {
    if (all.length * part.length > CONJUNCTIONS_MAX) throw tooLarge();
    all = all.flatMap((left) =>
      part.map((right) => ({
        positive: [...left.positive, ...right.positive],
        negative: [...left.negative, ...right.negative],
      })),
    );
  }
  return all;
}

function subsets(steps: readonly number[], size: number): readonly (readonly number[])[] {
  let all: number[][] = [[]];
  for (const [index, step] of steps.entries()) {
    const grown = all.filter((subset) => subset.length < size).map((subset) => [...subset, step]);
    // Subsets that can no longer reach the size are let go.
    all = [...all, ...grown].filter((subset) => subset.length + steps.length - index - 1 >= size);
    if (all.length > CONJUNCTIONS_MAX) throw tooLarge();
  }
  return all;
}

function tooLarge(): CorrelationError {
  return new CorrelationError('a temporal condition has too many combinations', 'SEC_CORR_STATE', {
    combinations_max: CONJUNCTIONS_MAX,
  });
}

function ascending(steps: readonly number[]): readonly number[] {
  return [...new Set(steps)].sort((a, b) => a - b);
}

/** By size, then by bitmask: of two sets of one size the one whose highest differing step is lower comes first. */
function compareSteps(a: readonly number[], b: readonly number[]): number {
  if (a.length !== b.length) return a.length - b.length;
  for (let index = a.length - 1; index >= 0; index--) {
    const difference = (a[index] as number) - (b[index] as number);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Steps that stand under an even number of negations somewhere. */
export function positiveStepsOf(expression: StepExpression, negated = false): Set<number> {
  switch (expression.op) {
    case 'step':
      return new Set(negated ? [] : [expression.step]);
    case 'not':
      return positiveStepsOf(expression.of, !negated);
    case 'at_least':
      return new Set(negated ? [] : expression.steps);
    case 'and':
    case 'or':
      return new Set(expression.of.flatMap((part) => [...positiveStepsOf(part, negated)]));
  }
}

/**
 * Bipartite matching of steps to distinct sources, each with a capacity (an event: 1; a kind of events: their number).
 * Grows one step at a time by augmenting paths.
 */
export class StepMatching {
  private readonly holders: number[][];
  private readonly fits: readonly (readonly number[])[];
  private readonly capacities: readonly number[];

  /** `fits[source]` are the steps that the source can serve. */
  constructor(fits: readonly (readonly number[])[], capacities: readonly number[]) {
    this.fits = fits;
    this.capacities = capacities;
    this.holders = fits.map(() => []);
  }

  /** Serves the step too, if that is possible beside those served so far. */
  serve(step: number): boolean {
    return this.augment(step, new Set());
  }

  private augment(step: number, seen: Set<number>): boolean {
    for (const [source, steps] of this.fits.entries()) {
      if (seen.has(source) || !steps.includes(step)) continue;
      seen.add(source);
      const held = this.holders[source] as number[];
      if (held.length < (this.capacities[source] as number)) {
        held.push(step);
        return true;
      }
      for (const [slot, other] of held.entries()) {
        if (!this.augment(other, seen)) continue;
        held[slot] = step;
        return true;
      }
    }
    return false;
  }
}
