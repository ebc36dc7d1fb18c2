import { type Condition, ConditionSyntaxError, parseCondition } from '../condition.ts';
import { checkRegex, compileRegex } from '../regex/index.ts';
import type { Position, YamlNode } from '../yaml-tree.ts';
import type {
  AppliedTest,
  Comparison,
  FieldCondition,
  Gate,
  ItemCondition,
  RuleCondition,
  StateTest,
} from './pipeline-definition.ts';
import { KeyReader, PipelineRefusal } from './step-reading.ts';

const COMPARISONS: readonly Comparison[] = ['eq', 'ne', 'gt', 'gte', 'lt', 'lte'];

type Reader<C> = (type: string, keys: KeyReader) => C | null;
type GateKeys = { readonly conditions: string; readonly op: string; readonly not: string; readonly expr: string };

/** The three groups of conditions that a step may have, each with its ways to be joined. */
export function readGates(keys: KeyReader): {
  readonly rule: Gate<RuleCondition>;
  readonly item: Gate<ItemCondition>;
  readonly field: Gate<FieldCondition>;
} {
  return {
    rule: readGate(keys, gateKeys('rule_conditions', 'rule_cond'), ruleCondition),
    item: readGate(keys, gateKeys('detection_item_conditions', 'detection_item_cond'), itemCondition),
    field: readGate(keys, gateKeys('field_name_conditions', 'field_name_cond'), fieldCondition),
  };
}

function gateKeys(conditions: string, prefix: string): GateKeys {
  return { conditions, op: `${prefix}_op`, not: `${prefix}_not`, expr: `${prefix}_expr` };
}

/** A list joined by `*_op` (default `and`), or a map of named conditions joined by the expression of `*_expr`. */
function readGate<C>(keys: KeyReader, names: GateKeys, read: Reader<C>): Gate<C> {
  const entry = keys.entry(names.conditions);
  const op = keys.choice(names.op, ['and', 'or'], 'and');
  const negated = keys.flag(names.not);
  const expression = keys.entry(names.expr);
  if (!entry) {
    if (expression) throw new PipelineRefusal(expression.keyAt, `'${names.expr}' needs '${names.conditions}'`);
    return { op: 'and', of: [] };
  }
  const gate = expression
    ? readExpression(keys.text(names.expr), expression.value.at, readNamed(entry.value, names, read))
    : joined(op, readListed(entry.value, names, read));
  return negated ? { op: 'not', of: gate } : gate;
}

/** No condition at all is true, however it is joined. */
function joined<C>(op: 'and' | 'or', of: readonly Gate<C>[]): Gate<C> {
  return of.length === 0 ? { op: 'and', of } : { op, of };
}

function readListed<C>(node: YamlNode, names: GateKeys, read: Reader<C>): readonly Gate<C>[] {
  if (node.kind === 'list') return node.items.map((item) => readOne(item, read));
  if (node.kind === 'map') return node.entries.map(({ value }) => readOne(value, read));
  throw new PipelineRefusal(node.at, `'${names.conditions}' must be a list of conditions`);
}

function readNamed<C>(node: YamlNode, names: GateKeys, read: Reader<C>): ReadonlyMap<string, Gate<C>> {
  if (node.kind !== 'map') {
    const hint = `with '${names.expr}', '${names.conditions}' must be a map of named conditions`;
    throw new PipelineRefusal(node.at, hint);
  }
  return new Map(node.entries.map(({ key, value }) => [key, readOne(value, read)]));
}

function readExpression<C>(source: string, at: Position, named: ReadonlyMap<string, Gate<C>>): Gate<C> {
  try {
    return gateOf(parseCondition(source), at, named);
  } catch (error) {
    if (error instanceof ConditionSyntaxError) throw new PipelineRefusal(at, error.message);
    throw error;
  }
}

function gateOf<C>(condition: Condition, at: Position, named: ReadonlyMap<string, Gate<C>>): Gate<C> {
  switch (condition.kind) {
    case 'and':
    case 'or':
      return { op: condition.kind, of: condition.of.map((part) => gateOf(part, at, named)) };
    case 'not':
      return { op: 'not', of: gateOf(condition.of, at, named) };
    case 'quantified':
      throw new PipelineRefusal(at, "conditions of a step are joined by 'and', 'or', 'not' and parentheses only");
    case 'selection': {
      const gate = named.get(condition.name);
      if (gate) return gate;
      throw new PipelineRefusal(at, `there is no condition '${condition.name}'`);
    }
  }
}

function readOne<C>(node: YamlNode, read: Reader<C>): Gate<C> {
  const keys = new KeyReader(node, 'a condition');
  const type = keys.text('type');
  const condition = read(type, keys);
  if (condition === null) {
    const message = `'${type}' is no condition that can stand here: see docs/pipelines.md for those that can`;
    throw new PipelineRefusal(keys.needed('type').value.at, message, 'unsupported');
  }
  keys.refuseOthers();
  return { op: 'is', condition };
}

function ruleCondition(type: string, keys: KeyReader): RuleCondition | null {
  switch (type) {
    case 'logsource':
      return readLogSourceTest(keys);
    case 'contains_detection_item':
      return { type, field: keys.text('field'), value: keys.value('value') };
    case 'contains_field':
      return { type, field: keys.text('field') };
    case 'is_sigma_rule':
    case 'is_sigma_correlation_rule':
      return { type };
    case 'rule_attribute':
      return readAttributeTest(keys);
    case 'tag':
      return { type, tag: keys.text('tag') };
    default:
      return sharedCondition(type, keys);
  }
}

function readAttributeTest(keys: KeyReader): RuleCondition {
  const op = keys.choice('op', [...COMPARISONS, 'in', 'not_in'], 'eq');
  const isList = op === 'in' || op === 'not_in';
  const values = isList ? keys.neededTexts('value') : [keys.text('value')];
  return { type: 'rule_attribute', attribute: keys.text('attribute'), op, values };
}

function readLogSourceTest(keys: KeyReader): RuleCondition {
  const product = keys.optionalText('product');
  const service = keys.optionalText('service');
  const category = keys.optionalText('category');
  if (product === null && service === null && category === null) {
    throw new PipelineRefusal(keys.map.at, "a 'logsource' condition needs product, service or category", 'key_missing');
  }
  return { type: 'logsource', product, service, category };
}

function itemCondition(type: string, keys: KeyReader): ItemCondition | null {
  switch (type) {
    case 'match_string': {
      const test = regexTest(keys.text('pattern'), keys.needed('pattern').value.at);
      return { type, every: readEvery(keys), negated: keys.flag('negate'), test };
    }
    case 'match_value':
      return { type, every: readEvery(keys), value: keys.value('value') };
    case 'contains_wildcard':
    case 'is_null':
      return { type, every: readEvery(keys) };
    default:
      return sharedCondition(type, keys);
  }
}

function readEvery(keys: KeyReader): boolean {
  return keys.choice('cond', ['any', 'all'], 'any') === 'all';
}

function fieldCondition(type: string, keys: KeyReader): FieldCondition | null {
  if (type !== 'include_fields' && type !== 'exclude_fields') return sharedCondition(type, keys);
  const fields = keys.neededTexts('fields');
  const { at } = keys.needed('fields').value;
  const mode = keys.choice('mode', ['plain', 'regex'], 'plain');
  const tests = mode === 'plain' ? null : fields.map((pattern) => regexTest(pattern, at));
  const test = (field: string): boolean => (tests ? tests.some((one) => one(field)) : fields.includes(field));
  return { type: 'fields', include: type === 'include_fields', test };
}

/** Python's `match`: from the start of the text, to no given end. */
function regexTest(pattern: string, at: Position): (text: string) => boolean {
  const anchored = `^(?:${pattern})`;
  const reason = checkRegex(anchored, '');
  if (reason !== null) throw new PipelineRefusal(at, `this pattern cannot be run: ${reason}`, 'regex_refused');
  return compileRegex(anchored, '');
}

function sharedCondition(type: string, keys: KeyReader): StateTest | AppliedTest | null {
  if (type === 'processing_state') {
    return { type, key: keys.text('key'), op: keys.choice('op', COMPARISONS, 'eq'), value: keys.text('val') };
  }
  return type === 'processing_item_applied' ? { type, id: keys.text('processing_item_id') } : null;
}
