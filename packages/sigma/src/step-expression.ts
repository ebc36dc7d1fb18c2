import { type Condition, ConditionSyntaxError, selectionsOf } from './condition.ts';
import type { StepExpression } from './correlation-definition.ts';

/** Most conjunctions that a condition over steps may come to in disjunctive normal form. */
const CONJUNCTIONS_MAX = 256;

/** Which steps a condition can speak of. */
export type StepNames = {
  /** Names of the `rules` list as written: what `them` and patterns stand for. */
  readonly listed: readonly string[];
  /** Index of the step of that rule, by id or name; adds the rule when the list does not have it. */
  stepOf(name: string, at: number): number;
};

/**
 * Condition over rules (specification proposal #198) as an expression over steps, with `not` only at steps. Each way
 * to make it true must need at least one rule that happens: what never happens is no event to alert on.
 * @throws ConditionSyntaxError
 */
export function readStepExpression(condition: Condition, names: StepNames): StepExpression {
  const expression = resolve(condition, false, names);
  if (needsNothing(expression)) {
    throw new ConditionSyntaxError("'not' needs a rule that does happen beside it, joined by 'and'", 0);
  }
  if (conjunctionsOf(expression) > CONJUNCTIONS_MAX) {
    throw new ConditionSyntaxError(`the condition has more than ${CONJUNCTIONS_MAX} alternatives: split the rule`, 0);
  }
  return expression;
}

function resolve(condition: Condition, isNegated: boolean, names: StepNames): StepExpression {
  switch (condition.kind) {
    case 'not':
      return resolve(condition.of, !isNegated, names);
    case 'selection':
      return literal(names.stepOf(condition.name, condition.at), isNegated);
    case 'and':
    case 'or': {
      const parts = condition.of.map((part) => resolve(part, isNegated, names));
      return join((condition.kind === 'and') !== isNegated, parts);
    }
    case 'quantified': {
      const found = [...new Set(selectionsOf(condition.pattern, names.listed))];
      if (found.length === 0) {
        throw new ConditionSyntaxError(`'${condition.pattern}' stands for no rule of 'rules'`, condition.at);
      }
      const steps = [...new Set(found.map((name) => names.stepOf(name, condition.at)))];
      return join(
        condition.all !== isNegated,
        steps.map((step) => literal(step, isNegated)),
      );
    }
  }
}

function literal(step: number, isNegated: boolean): StepExpression {
  return isNegated ? { op: 'not', of: { op: 'step', step } } : { op: 'step', step };
}

function join(isConjunction: boolean, parts: readonly StepExpression[]): StepExpression {
  const op = isConjunction ? 'and' : 'or';
  const of = parts.flatMap((part) => (part.op === op ? part.of : [part]));
  return of.length === 1 ? (of[0] as StepExpression) : { op, of };
}

/** Is there a conjunction without a step that must happen? */
function needsNothing(expression: StepExpression): boolean {
  switch (expression.op) {
    case 'and':
      return expression.of.every(needsNothing);
    case 'or':
      return expression.of.some(needsNothing);
    case 'not':
      return true;
    case 'step':
    case 'at_least':
      return false;
  }
}

function conjunctionsOf(expression: StepExpression): number {
  switch (expression.op) {
    case 'and':
      return expression.of.reduce((product, part) => product * conjunctionsOf(part), 1);
    case 'or':
      return expression.of.reduce((sum, part) => sum + conjunctionsOf(part), 0);
    case 'not':
    case 'step':
    case 'at_least':
      return 1;
  }
}

/** Does the expression speak of something that must not happen? Then it is decided when time has passed. */
export function hasNegation(expression: StepExpression): boolean {
  if (expression.op === 'and' || expression.op === 'or') return expression.of.some(hasNegation);
  return expression.op === 'not';
}
