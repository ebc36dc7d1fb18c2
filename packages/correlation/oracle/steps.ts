import type { CorrelationDefinition, StepExpression } from '@tracehound/sigma';
import { byTotalOrder, type OracleEvent } from './model.ts';

/** Steps that must have happened, and steps that must not have. */
export type Conjunction = { readonly present: ReadonlySet<number>; readonly absent: ReadonlySet<number> };

/** Disjunctive normal form; `negated` asks for the form of the opposite. */
export function normalForm(expression: StepExpression, negated = false): readonly Conjunction[] {
  switch (expression.op) {
    case 'step': {
      const step = new Set([expression.step]);
      return [negated ? { present: new Set(), absent: step } : { present: step, absent: new Set() }];
    }
    case 'not':
      return normalForm(expression.of, !negated);
    case 'and':
    case 'or': {
      const parts = expression.of.map((part) => normalForm(part, negated));
      return (expression.op === 'and') !== negated ? product(parts) : parts.flat();
    }
    case 'at_least': {
      // Fewer than n of k happened = at least k - n + 1 of them did not.
      const { count, steps } = expression;
      const wanted = negated ? steps.length - count + 1 : count;
      return subsets(steps)
        .filter((chosen) => chosen.length === Math.max(0, wanted))
        .map((chosen) => ({
          present: new Set(negated ? [] : chosen),
          absent: new Set(negated ? chosen : []),
        }));
    }
  }
}

function product(parts: readonly (readonly Conjunction[])[]): readonly Conjunction[] {
  let all: readonly Conjunction[] = [{ present: new Set(), absent: new Set() }];
  for (const part of parts) {
    all = all.flatMap((left) =>
      part.map((right) => ({
        present: new Set([...left.present, ...right.present]),
        absent: new Set([...left.absent, ...right.absent]),
      })),
    );
  }
  return all;
}

/** All subsets, in the order of size and then of the bitmask (bit i = the i-th of `items`). */
export function subsets(items: readonly number[]): readonly (readonly number[])[] {
  return Array.from({ length: 2 ** items.length }, (_, mask) => ({
    mask,
    chosen: items.filter((_item, index) => (mask >> index) & 1),
  }))
    .sort((a, b) => a.chosen.length - b.chosen.length || a.mask - b.mask)
    .map(({ chosen }) => chosen);
}

/** Section 4: steps that stand un-negated somewhere; their hits are the positives. */
export function positiveSteps(definition: CorrelationDefinition): ReadonlySet<number> | null {
  if (definition.type === 'temporal') {
    const expression = definition.temporal;
    return new Set(expression ? normalForm(expression).flatMap(({ present }) => [...present]) : []);
  }
  if (definition.type === 'temporal_ordered') {
    return new Set(definition.ordered.filter((step) => !step.negated).map(({ step }) => step));
  }
  return null;
}

/**
 * One hit for each of the steps, of distinct events unless `reuse`: the lexicographically latest choice in total
 * order, lower steps first; undefined when there is none.
 */
export function latestMatching(
  hits: readonly OracleEvent[],
  steps: readonly number[],
  reuse: boolean,
): readonly OracleEvent[] | undefined {
  const [step, ...rest] = [...steps].sort((a, b) => a - b);
  if (step === undefined) return [];
  const latestFirst = hits.filter((hit) => hit.step === step).sort((a, b) => byTotalOrder(b, a));
  for (const hit of latestFirst) {
    const others = reuse ? hits : hits.filter(({ id }) => id !== hit.id);
    const chosen = latestMatching(others, rest, reuse);
    if (chosen) return [hit, ...chosen];
  }
  return undefined;
}

export function expressionHolds(
  expression: StepExpression,
  { hits, reuse }: { readonly hits: readonly OracleEvent[]; readonly reuse: boolean },
): boolean {
  return normalForm(expression).some(
    ({ present, absent }) =>
      !hits.some((hit) => absent.has(hit.step)) && latestMatching(hits, [...present], reuse) !== undefined,
  );
}

/** Is the expression true when exactly these steps have happened? */
function trueOf(expression: StepExpression, happened: ReadonlySet<number>): boolean {
  return normalForm(expression).some(
    ({ present, absent }) =>
      [...present].every((step) => happened.has(step)) && ![...absent].some((step) => happened.has(step)),
  );
}

/** Section 3, temporal: the latest matching of the smallest sufficient set of steps. */
export function temporalEvidence(
  expression: StepExpression,
  { hits, reuse }: { readonly hits: readonly OracleEvent[]; readonly reuse: boolean },
): readonly OracleEvent[] {
  const steps = [...new Set(normalForm(expression).flatMap(({ present }) => [...present]))].sort((a, b) => a - b);
  for (const chosen of subsets(steps)) {
    const matching = trueOf(expression, new Set(chosen)) ? latestMatching(hits, chosen, reuse) : undefined;
    if (matching) return matching;
  }
  return [];
}
