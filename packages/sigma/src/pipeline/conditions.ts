import { RULE_LEVELS } from '../rule-words.ts';
import { parsePattern } from '../value-pattern.ts';
import type { YamlNode } from '../yaml-tree.ts';
import type { Comparison, FieldCondition, Gate, ItemCondition, RuleCondition, Value } from './pipeline-definition.ts';
import { type DraftItem, itemsOf, type RuleDraft } from './rule-draft.ts';
import { wholeText } from './whole-text.ts';

/** What conditions know beside the thing they are asked of. */
export type Progress = { readonly state: ReadonlyMap<string, string>; readonly applied: ReadonlySet<string> };

export function holds<C>(gate: Gate<C>, test: (condition: C) => boolean): boolean {
  switch (gate.op) {
    case 'and':
      return gate.of.every((part) => holds(part, test));
    case 'or':
      return gate.of.some((part) => holds(part, test));
    case 'not':
      return !holds(gate.of, test);
    case 'is':
      return test(gate.condition);
  }
}

export function ruleHolds(condition: RuleCondition, rule: RuleDraft, progress: Progress): boolean {
  switch (condition.type) {
    case 'logsource': {
      const { product, service, category } = rule.logSource;
      return (
        agrees(condition.product, product) && agrees(condition.service, service) && agrees(condition.category, category)
      );
    }
    case 'contains_field':
      return allItems(rule).some(({ field }) => field === condition.field);
    case 'contains_detection_item':
      return allItems(rule).some(
        ({ field, values }) => field === condition.field && values.some((node) => isValue(node, condition.value)),
      );
    case 'is_sigma_rule':
      return rule.kind !== 'correlation';
    case 'is_sigma_correlation_rule':
      return rule.kind === 'correlation';
    case 'rule_attribute':
      return attributeHolds(condition, rule.attributes.get(condition.attribute));
    case 'tag':
      return rule.tags.includes(condition.tag);
    case 'processing_state':
      return compared(progress.state.get(condition.key), condition.op, condition.value);
    case 'processing_item_applied':
      return progress.applied.has(condition.id);
  }
}

/** What the condition leaves out may be anything. Without case, as log sources are compared everywhere. */
function agrees(wanted: string | null, found: string | null): boolean {
  return wanted === null || (found !== null && wanted.toLowerCase() === found.toLowerCase());
}

function allItems(rule: RuleDraft): readonly DraftItem[] {
  const drafts = [...rule.selections.values(), ...rule.conditions.map(({ draft }) => draft)];
  return drafts.flatMap((draft) => (draft ? [...itemsOf(draft)] : []));
}

function isValue(node: YamlNode, wanted: Value): boolean {
  if (node.kind !== 'scalar') return false;
  if (node.value === null || wanted === null) return node.value === wanted;
  return String(node.value) === String(wanted);
}

function attributeHolds(
  { attribute, op, values }: Extract<RuleCondition, { readonly type: 'rule_attribute' }>,
  found: string | undefined,
): boolean {
  if (op !== 'in' && op !== 'not_in') return compared(found, op, values[0] ?? '', attribute);
  return (found !== undefined && values.includes(found)) === (op === 'in');
}

/** Words that have an order of their own. */
const ORDERS: Readonly<Record<string, readonly string[]>> = {
  level: RULE_LEVELS,
  status: ['unsupported', 'deprecated', 'experimental', 'test', 'stable'],
};

function compared(found: string | undefined, op: Comparison, wanted: string, attribute = ''): boolean {
  if (found === undefined) return op === 'ne';
  if (op === 'eq' || op === 'ne') return (found === wanted) === (op === 'eq');
  const order = Object.hasOwn(ORDERS, attribute) ? ORDERS[attribute] : undefined;
  const difference = order ? order.indexOf(found) - order.indexOf(wanted) : differenceOf(found, wanted);
  switch (op) {
    case 'gt':
      return difference > 0;
    case 'gte':
      return difference >= 0;
    case 'lt':
      return difference < 0;
    case 'lte':
      return difference <= 0;
  }
}

/** Numbers by value, texts (dates above all) by their characters. */
function differenceOf(found: string, wanted: string): number {
  const difference = Number(found) - Number(wanted);
  if (!Number.isNaN(difference)) return difference;
  return found === wanted ? 0 : found < wanted ? -1 : 1;
}

export function itemHolds(condition: ItemCondition, item: DraftItem, progress: Progress): boolean {
  switch (condition.type) {
    case 'match_string':
      return (
        joined(item, condition.every, (node) => {
          const text = wholeText(item, node);
          return text !== null && condition.test(text);
        }) !== condition.negated
      );
    case 'match_value':
      return joined(item, condition.every, (node) => isValue(node, condition.value));
    case 'contains_wildcard':
      return joined(item, condition.every, (node) => {
        const text = wholeText(item, node);
        return text !== null && parsePattern(text).some(({ kind }) => kind !== 'text');
      });
    case 'is_null':
      return joined(item, condition.every, (node) => node.kind === 'scalar' && node.value === null);
    case 'processing_state':
      return compared(progress.state.get(condition.key), condition.op, condition.value);
    case 'processing_item_applied':
      return item.applied.has(condition.id);
  }
}

function joined(item: DraftItem, every: boolean, test: (node: YamlNode) => boolean): boolean {
  return every ? item.values.every(test) : item.values.some(test);
}

/** A keyword has no field: it is in no list of fields. */
export function fieldHolds(
  condition: FieldCondition,
  { name, applied }: { readonly name: string | null; readonly applied: ReadonlySet<string> },
  progress: Progress,
): boolean {
  switch (condition.type) {
    case 'fields':
      return (name !== null && condition.test(name)) === condition.include;
    case 'processing_state':
      return compared(progress.state.get(condition.key), condition.op, condition.value);
    case 'processing_item_applied':
      return applied.has(condition.id);
  }
}
