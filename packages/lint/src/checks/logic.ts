import type { Condition } from '@tracehound/sigma';
import type { Check, CheckContext } from '../check.ts';
import {
  type ConditionSketch,
  type DetectionSketch,
  type ItemSketch,
  namesIn,
  type SelectionSketch,
} from '../detection-sketch.ts';
import { mapImplies, selectionImplies, valueKey } from '../implication.ts';
import type { RuleDocument } from '../rule-document.ts';
import { truthTableOf } from '../truth-table.ts';

type Trees = { readonly detection: DetectionSketch; readonly condition: ConditionSketch; readonly tree: Condition };

/** Runs a check on each condition of a detection that parses. */
function onConditions(look: (trees: Trees, context: CheckContext) => void): NonNullable<Check['run']> {
  return ({ detection, kind }, context) => {
    // The condition of a filter is joined to the rule's by `and`: it says nothing alone.
    for (const condition of kind === 'filter' ? [] : (detection?.conditions ?? [])) {
      if (detection && condition.tree) look({ detection, condition, tree: condition.tree }, context);
    }
  };
}

/** Runs a check on each list of items that must hold together. */
function onMaps(
  look: (items: readonly ItemSketch[], context: CheckContext, rule: RuleDocument) => void,
): NonNullable<Check['run']> {
  return (rule, context) => {
    for (const { alternatives } of rule.detection?.selections ?? []) {
      for (const items of alternatives) look(items, context, rule);
    }
  };
}

/** Selections that must hold, and those that must not, for the whole condition. */
function required(condition: Condition, all: readonly string[]): { yes: readonly string[]; no: readonly string[] } {
  switch (condition.kind) {
    case 'selection':
      return { yes: [condition.name], no: [] };
    case 'and': {
      const parts = condition.of.map((part) => required(part, all));
      return { yes: parts.flatMap(({ yes }) => yes), no: parts.flatMap(({ no }) => no) };
    }
    case 'not': {
      const isAny = condition.of.kind === 'or' || (condition.of.kind === 'quantified' && !condition.of.all);
      const parts = condition.of.kind === 'selection' || isAny ? namesIn(condition.of, all) : [];
      return { yes: [], no: parts };
    }
    case 'quantified':
      return condition.all ? { yes: namesIn(condition, all), no: [] } : { yes: [], no: [] };
    case 'or':
      return { yes: [], no: [] };
  }
}

function selectionsNamed(detection: DetectionSketch, names: readonly string[]): readonly SelectionSketch[] {
  return detection.selections.filter(({ name }) => names.includes(name));
}

/** Names of selections that hide a required one: whatever it selects, they take away. */
function hiding(detection: DetectionSketch, tree: Condition): readonly [SelectionSketch, SelectionSketch][] {
  const { yes, no } = required(
    tree,
    detection.selections.map(({ name }) => name),
  );
  return selectionsNamed(detection, no).flatMap((filter) =>
    selectionsNamed(detection, yes)
      .filter((selection) => selection !== filter && selectionImplies(selection, filter))
      .map((selection): [SelectionSketch, SelectionSketch] => [selection, filter]),
  );
}

const NOT_A_VALUE: readonly string[] = ['exists', 'neq'];
const isPositive = ({ modifiers }: ItemSketch): boolean => !modifiers.some((name) => NOT_A_VALUE.includes(name));
const saysExists = ({ modifiers, values }: ItemSketch, present: boolean): boolean =>
  modifiers.includes('exists') && values[0]?.value === present;

function boundOf(item: ItemSketch, ...relations: readonly string[]): number | undefined {
  const value = item.modifiers.some((name) => relations.includes(name)) ? Number(item.values[0]?.value) : Number.NaN;
  return Number.isNaN(value) ? undefined : value;
}

export const LOGIC_CHECKS: readonly Check[] = [
  {
    code: 'logic-never-matches',
    area: 'logic',
    level: 'error',
    doc: 'The condition is false for every event: whatever its selections say, it contradicts itself, as in `selection and not selection`. The rule can never fire. Correct the condition.',
    run: onConditions(({ detection, condition, tree }, { report }) => {
      const table = truthTableOf(detection, tree);
      if (table && !table.canBeTrue && hiding(detection, tree).length === 0)
        report(condition.at, 'no event can satisfy this condition: it contradicts itself');
    }),
  },
  {
    code: 'logic-filter-hides-selection',
    area: 'logic',
    level: 'error',
    doc: 'A selection that is negated takes away everything a required selection selects, because it asks for the same or less. The rule can never fire. Make the filter narrower than the selection.',
    run: onConditions(({ detection, tree }, { report }) => {
      for (const [selection, filter] of hiding(detection, tree))
        report(filter.at, `'${filter.name}' holds whenever '${selection.name}' does, so nothing is left to match`);
    }),
  },
  {
    code: 'logic-always-matches',
    area: 'logic',
    level: 'error',
    doc: 'The condition is true for every event of the log source, as in `selection or not selection`. Such a rule alerts on everything. Correct the condition.',
    run: onConditions(({ detection, condition, tree }, { report }) => {
      const table = truthTableOf(detection, tree);
      if (table && !table.canBeFalse) report(condition.at, 'every event satisfies this condition');
    }),
  },
  {
    code: 'logic-only-negated',
    area: 'logic',
    level: 'warning',
    doc: 'The condition only says what an event must not be, so every other event of the log source matches. Add a selection of what is wanted.',
    run: onConditions(({ detection, condition, tree }, { report }) => {
      const parts = tree.kind === 'and' ? tree.of : [tree];
      const table = truthTableOf(detection, tree);
      if (parts.every(({ kind }) => kind === 'not') && table?.canBeTrue && table.canBeFalse)
        report(condition.at, 'the condition only excludes: every other event of the log source matches');
    }),
  },
  {
    code: 'logic-selection-unused',
    area: 'logic',
    level: 'warning',
    doc: 'No condition names this selection, so it has no effect; often a filter was written and then forgotten. Use it or delete it.',
    run: ({ detection }, { report }) => {
      if (!detection || detection.conditions.length === 0 || detection.conditions.some(({ tree }) => !tree)) return;
      const names = detection.selections.map(({ name }) => name);
      const used = new Set(detection.conditions.flatMap(({ tree }) => (tree ? namesIn(tree, names) : [])));
      for (const { name, at } of detection.selections)
        if (!used.has(name)) report(at, `no condition uses the selection '${name}'`);
    },
  },
  {
    code: 'logic-selection-idle',
    area: 'logic',
    level: 'warning',
    doc: 'The condition names this selection but comes out the same whether it holds or not, as `b` in `a or (a and b)`. Something else was meant, or it can go.',
    run: onConditions(({ detection, condition, tree }, { report }) => {
      const table = truthTableOf(detection, tree);
      if (!table?.canBeTrue || !table.canBeFalse) return;
      for (const name of table.idle) report(condition.at, `'${name}' never decides the outcome of this condition`);
    }),
  },
  {
    code: 'logic-selection-duplicate',
    area: 'logic',
    level: 'warning',
    doc: 'Two selections ask for exactly the same. One of them was probably copied and never changed.',
    run: ({ detection }, { report }) => {
      const selections = detection?.selections ?? [];
      selections.forEach((selection, at) => {
        const twin = selections
          .slice(0, at)
          .find((other) => selectionImplies(selection, other) && selectionImplies(other, selection));
        if (twin) report(selection.at, `'${selection.name}' asks for the same as '${twin.name}'`);
      });
    },
  },
  {
    code: 'logic-alternative-shadowed',
    area: 'logic',
    level: 'warning',
    doc: 'One map of a list of alternatives asks for the same as another one, or more, so it adds nothing. Delete it, or correct what was copied.',
    run: ({ detection }, { report }) => {
      for (const { alternatives } of detection?.selections ?? []) {
        alternatives.forEach((items, at) => {
          const isShadowed = alternatives.some(
            (other, position) =>
              position !== at && mapImplies(items, other) && (position < at || !mapImplies(other, items)),
          );
          if (isShadowed && items[0]) report(items[0].at, 'another alternative already matches all of these events');
        });
      }
    },
  },
  {
    code: 'logic-exists-contradiction',
    area: 'logic',
    level: 'error',
    doc: 'One selection asks that a field is absent and that it has a value. No event can satisfy both.',
    run: onMaps((items, { report }) => {
      for (const absent of items.filter((item) => saysExists(item, false))) {
        const other = items.find(
          (item) =>
            item.field === absent.field &&
            item !== absent &&
            (saysExists(item, true) || (isPositive(item) && item.values.every(({ value }) => value !== null))),
        );
        if (other) report(absent.at, `'${absent.field}' must be absent here and have a value at line ${other.at.line}`);
      }
    }),
  },
  {
    code: 'logic-exclusive-values',
    area: 'logic',
    level: 'warning',
    doc: 'One selection asks for two different exact values of one field, by `|all` or by null beside a value. Only a field that is a list could satisfy it. If alternatives were meant, write them as one list.',
    run: onMaps((items, { report }) => {
      for (const item of items) {
        const texts = new Set(item.values.map(({ value }) => valueKey(value)));
        const isPlain = item.modifiers.every((name) => name === 'all' || name === 'cased');
        const hasWildcard = item.values.some(({ value }) => typeof value === 'string' && /[*?]/.test(value));
        if (item.field !== '' && item.modifiers.includes('all') && isPlain && !hasWildcard && texts.size > 1)
          report(item.at, `'${item.field}' cannot equal all of these values at once, unless it is a list`);
      }
    }),
  },
  {
    code: 'logic-range-empty',
    area: 'logic',
    level: 'error',
    doc: 'The bounds of one field leave no number between them, such as `gt: 10` with `lt: 5`. Exchange the bounds or correct them.',
    run: onMaps((items, { report }) => {
      for (const item of items) {
        const low = boundOf(item, 'gt', 'gte');
        if (low === undefined) continue;
        for (const other of items.filter(({ field }) => field === item.field)) {
          const high = boundOf(other, 'lt', 'lte');
          const isOpen = item.modifiers.includes('gt') || other.modifiers.includes('lt');
          if (high !== undefined && (high < low || (high === low && isOpen)))
            report(item.at, `no number is above ${low} and below ${high}`);
        }
      }
    }),
  },
  {
    code: 'logic-exists-redundant',
    area: 'logic',
    level: 'info',
    doc: 'A selection asks for a value of a field and also that the field exists. The value alone says so.',
    run: onMaps((items, { report }) => {
      for (const item of items.filter((candidate) => saysExists(candidate, true))) {
        const isImplied = items.some(
          (other) =>
            other.field === item.field && isPositive(other) && other.values.every(({ value }) => value !== null),
        );
        if (isImplied) report(item.at, `a value of '${item.field}' is asked for as well, which implies that it exists`);
      }
    }),
  },
];
