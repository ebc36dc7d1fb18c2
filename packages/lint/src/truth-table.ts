import { type Condition, selectionsOf } from '@tracehound/sigma';
import { type DetectionSketch, namesIn } from './detection-sketch.ts';
import { selectionImplies } from './implication.ts';

/** Selections beyond which the table (2^n rows) is not made. */
const SELECTIONS_MAX = 10;

export type TruthTable = {
  /** Selections the condition stands on. */
  readonly names: readonly string[];
  readonly canBeTrue: boolean;
  readonly canBeFalse: boolean;
  /** Selections that never decide the outcome. */
  readonly idle: readonly string[];
};

/**
 * The condition over every assignment of its selections that is possible: one that implies another is never true
 * without it. Undefined where there are more than ten selections or a name is unknown.
 */
export function truthTableOf(detection: DetectionSketch, condition: Condition): TruthTable | undefined {
  const all = detection.selections.map(({ name }) => name);
  const names = [...new Set(namesIn(condition, all))];
  const selections = names.map((name) => detection.selections.find((selection) => selection.name === name));
  if (names.length === 0 || names.length > SELECTIONS_MAX || selections.includes(undefined)) return undefined;
  const known = selections.filter((selection) => selection !== undefined);
  const implied = known.map((selection) =>
    known.map((other) => other !== selection && selectionImplies(selection, other)),
  );
  const rows = 2 ** names.length;
  const outcomes = new Map<number, boolean>();
  for (let row = 0; row < rows; row++) {
    const holds = (at: number): boolean => (row & (1 << at)) !== 0;
    const isPossible = implied.every((targets, at) => !holds(at) || targets.every((must, to) => !must || holds(to)));
    if (isPossible) outcomes.set(row, evaluate(condition, { all, holds: (name) => holds(names.indexOf(name)) }));
  }
  const values = [...outcomes.values()];
  const isIdle = (at: number): boolean => {
    const pairs = [...outcomes].filter(([row]) => outcomes.has(row ^ (1 << at)));
    return pairs.length > 0 && pairs.every(([row, value]) => outcomes.get(row ^ (1 << at)) === value);
  };
  return {
    names,
    canBeTrue: values.includes(true),
    canBeFalse: values.includes(false),
    idle: names.filter((_, at) => isIdle(at)),
  };
}

type Assignment = { readonly all: readonly string[]; holds(name: string): boolean };

function evaluate(condition: Condition, assignment: Assignment): boolean {
  switch (condition.kind) {
    case 'and':
      return condition.of.every((part) => evaluate(part, assignment));
    case 'or':
      return condition.of.some((part) => evaluate(part, assignment));
    case 'not':
      return !evaluate(condition.of, assignment);
    case 'selection':
      return assignment.holds(condition.name);
    case 'quantified': {
      const names = selectionsOf(condition.pattern, assignment.all);
      return condition.all ? names.every(assignment.holds) : names.some(assignment.holds);
    }
  }
}
