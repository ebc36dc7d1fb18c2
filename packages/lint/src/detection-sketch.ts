import {
  type Condition,
  ConditionSyntaxError,
  type Position,
  parseCondition,
  selectionsOf,
  type YamlMap,
  type YamlNode,
  type YamlScalar,
} from '@tracehound/sigma';
import { entry, scalars } from './yaml-read.ts';

/** One `field|modifier: values` line of a selection. */
export type ItemSketch = {
  /** Empty for keywords under a modifier. */
  readonly field: string;
  readonly modifiers: readonly string[];
  readonly values: readonly YamlScalar[];
  readonly isList: boolean;
  readonly at: Position;
};

/** One named part of a detection: alternatives of items that hold together, or keywords. */
export type SelectionSketch = {
  readonly name: string;
  readonly at: Position;
  readonly alternatives: readonly (readonly ItemSketch[])[];
  readonly keywords: readonly YamlScalar[];
};

export type ConditionSketch = {
  readonly text: string;
  readonly at: Position;
  /** Null where it does not parse; the loader says so. */
  readonly tree: Condition | null;
};

export type DetectionSketch = {
  readonly at: Position;
  readonly selections: readonly SelectionSketch[];
  readonly conditions: readonly ConditionSketch[];
};

/** Keys of a detection that are not selections; `rules` belongs to filters. */
const NOT_SELECTIONS: readonly string[] = ['condition', 'timeframe', 'rules'];

/** Reads the `detection` part of a rule, or the `filter` part, which has the same shape. */
export function readDetection(map: YamlMap): DetectionSketch {
  return {
    at: map.at,
    selections: map.entries
      .filter(({ key }) => !NOT_SELECTIONS.includes(key))
      .map(({ key, keyAt, value }) => ({ name: key, at: keyAt, ...readSelection(value) })),
    conditions: scalars(entry(map, 'condition')?.value)
      .filter(({ value }) => typeof value === 'string')
      .map(({ value, at }) => ({ text: String(value), at, tree: treeOf(String(value)) })),
  };
}

function treeOf(condition: string): Condition | null {
  try {
    return parseCondition(condition);
  } catch (error) {
    if (error instanceof ConditionSyntaxError) return null;
    throw error;
  }
}

function readSelection(node: YamlNode): Pick<SelectionSketch, 'alternatives' | 'keywords'> {
  const nodes = node.kind === 'list' ? node.items : [node];
  return {
    alternatives: nodes.filter((item) => item.kind === 'map').map(readItems),
    keywords: nodes.filter((item) => item.kind === 'scalar'),
  };
}

function readItems(map: YamlMap): readonly ItemSketch[] {
  return map.entries.map(({ key, keyAt, value }) => {
    const [field = '', ...modifiers] = key.split('|');
    return { field, modifiers, values: scalars(value), isList: value.kind === 'list', at: keyAt };
  });
}

/** Every item of every selection. */
export function itemsOf(detection: DetectionSketch): readonly ItemSketch[] {
  return detection.selections.flatMap(({ alternatives }) => alternatives.flat());
}

/** Names of the selections a condition stands on, in the order of the tree, repetitions kept. */
export function namesIn(condition: Condition, names: readonly string[]): readonly string[] {
  switch (condition.kind) {
    case 'and':
    case 'or':
      return condition.of.flatMap((part) => namesIn(part, names));
    case 'not':
      return namesIn(condition.of, names);
    case 'selection':
      return [condition.name];
    case 'quantified':
      return selectionsOf(condition.pattern, names);
  }
}

/** Each part of a condition, the whole first. */
export function* partsOf(condition: Condition): Iterable<Condition> {
  yield condition;
  if (condition.kind === 'not') yield* partsOf(condition.of);
  if (condition.kind === 'and' || condition.kind === 'or') for (const part of condition.of) yield* partsOf(part);
}
