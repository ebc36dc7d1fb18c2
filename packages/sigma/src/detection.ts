import { type Condition, ConditionSyntaxError, parseCondition, selectionsOf } from './condition.ts';
import type { Relation, Test } from './test-tree.ts';
import { type PatternAnchor, parsePattern } from './value-pattern.ts';
import { entryOf, type Position, type ProblemSink, type YamlEntry, type YamlMap, type YamlNode } from './yaml-tree.ts';

const RELATIONS: readonly string[] = ['lt', 'lte', 'gt', 'gte'];
const ANCHORS: readonly string[] = ['contains', 'startswith', 'endswith'];
/** Modifiers of Sigma 2.1 that this version refuses, each with the reason. */
const REFUSED_MODIFIERS: Readonly<Record<string, string>> = {
  re: 'regular expressions wait for a linear-time engine; use wildcards, startswith, endswith or contains',
  base64: 'encodings are not supported yet',
  base64offset: 'encodings are not supported yet',
  utf16: 'encodings are not supported yet',
  utf16le: 'encodings are not supported yet',
  utf16be: 'encodings are not supported yet',
  wide: 'encodings are not supported yet',
  windash: 'dash variants are not supported yet; list the variants',
  cidr: 'networks are not supported yet; use startswith on a dotted prefix',
  fieldref: 'comparisons between fields are not supported yet',
  expand: 'placeholders are not supported yet',
  minute: 'time parts are not supported yet',
  hour: 'time parts are not supported yet',
  day: 'time parts are not supported yet',
  week: 'time parts are not supported yet',
  month: 'time parts are not supported yet',
  year: 'time parts are not supported yet',
};
/** Values and selections of one rule. Public rules stay below 1,500. */
const TESTS_MAX = 10_000;

/** Reads the `detection` part of a rule. Undefined when it cannot be run; the reasons are then reported. */
export function parseDetection(detection: YamlMap, problems: ProblemSink): Test | undefined {
  const condition = entryOf(detection, 'condition');
  if (!condition) {
    problems.report('key_missing', detection.at, "'detection' needs a 'condition'");
    return undefined;
  }
  const budget = { left: TESTS_MAX };
  const selections = new Map<string, Test | undefined>();
  for (const entry of detection.entries) {
    if (entry.key === 'condition' || entry.key === 'timeframe') continue;
    selections.set(entry.key, parseSelection(entry.value, problems, budget));
  }
  if (entryOf(detection, 'timeframe')) {
    problems.report('unsupported', detection.at, "'timeframe' belongs to Sigma 1: write a correlation rule");
    return undefined;
  }
  const conditions = condition.value.kind === 'list' ? condition.value.items : [condition.value];
  const alternatives = conditions.map((node) => parseConditionNode(node, selections, problems));
  if (budget.left < 0) {
    problems.report('limit_exceeded', detection.at, `the rule has more than ${TESTS_MAX} values`);
    return undefined;
  }
  return combine('or', alternatives);
}

function parseConditionNode(
  node: YamlNode,
  selections: ReadonlyMap<string, Test | undefined>,
  problems: ProblemSink,
): Test | undefined {
  if (node.kind !== 'scalar' || typeof node.value !== 'string') {
    problems.report('value_invalid', node.at, 'a condition must be text');
    return undefined;
  }
  try {
    return resolveCondition(parseCondition(node.value), selections, node.at, problems);
  } catch (error) {
    if (!(error instanceof ConditionSyntaxError)) throw error;
    problems.report('condition_syntax', shifted(node.at, error.at), error.message);
    return undefined;
  }
}

function shifted(at: Position, characters: number): Position {
  return { line: at.line, column: at.column + characters };
}

function resolveCondition(
  condition: Condition,
  selections: ReadonlyMap<string, Test | undefined>,
  at: Position,
  problems: ProblemSink,
): Test | undefined {
  switch (condition.kind) {
    case 'and':
    case 'or':
      return combine(
        condition.kind,
        condition.of.map((inner) => resolveCondition(inner, selections, at, problems)),
      );
    case 'not': {
      const of = resolveCondition(condition.of, selections, at, problems);
      return of && { op: 'not', of };
    }
    case 'selection':
      if (!selections.has(condition.name)) {
        problems.report('selection_unknown', shifted(at, condition.at), `there is no selection '${condition.name}'`);
      }
      return selections.get(condition.name);
    case 'quantified': {
      const names = selectionsOf(condition.pattern, [...selections.keys()]);
      if (names.length === 0) {
        problems.report(
          'pattern_matches_nothing',
          shifted(at, condition.at),
          `'${condition.pattern}' stands for no selection, so the condition could never be decided`,
        );
        return undefined;
      }
      return combine(
        condition.all ? 'and' : 'or',
        names.map((name) => selections.get(name)),
      );
    }
  }
}

/** `and`/`or` of the parts; undefined as soon as one part could not be read. */
function combine(op: 'and' | 'or', parts: readonly (Test | undefined)[]): Test | undefined {
  const known = parts.filter((part) => part !== undefined);
  if (known.length !== parts.length || known.length === 0) return undefined;
  return known.length === 1 ? known[0] : { op, of: known };
}

type Budget = { left: number };

/** Map: AND of its items. List of maps: OR. List of values: keywords, OR. */
function parseSelection(node: YamlNode, problems: ProblemSink, budget: Budget): Test | undefined {
  if (node.kind === 'map') {
    if (node.entries.length === 0) {
      problems.report('value_invalid', node.at, 'a selection must not be empty');
      return undefined;
    }
    return combine(
      'and',
      node.entries.map((entry) => parseItem(entry, problems, budget)),
    );
  }
  if (node.kind === 'list') {
    if (node.items.length === 0) {
      problems.report('value_invalid', node.at, 'a selection must not be empty');
      return undefined;
    }
    const inner = node.items.map((item) =>
      item.kind === 'map' ? parseSelection(item, problems, budget) : parseKeyword(item, problems, budget),
    );
    return combine('or', inner);
  }
  return parseKeyword(node, problems, budget);
}

function parseKeyword(node: YamlNode, problems: ProblemSink, budget: Budget): Test | undefined {
  budget.left--;
  if (node.kind !== 'scalar' || node.value === null || node.value === '') {
    problems.report('value_invalid', node.at, 'a keyword must be text or a number');
    return undefined;
  }
  return { op: 'keyword', parts: parsePattern(String(node.value)), cased: false };
}

/** One `field|modifier|modifier: value or values`. */
function parseItem(entry: YamlEntry, problems: ProblemSink, budget: Budget): Test | undefined {
  const [field = '', ...modifiers] = entry.key.split('|');
  const known = checkModifiers(modifiers, entry.keyAt, problems);
  if (!known) return undefined;
  const nodes = entry.value.kind === 'list' ? entry.value.items : [entry.value];
  if (nodes.length === 0) {
    problems.report('value_invalid', entry.keyAt, `'${entry.key}' has an empty list of values`);
    return undefined;
  }
  const tests = nodes.map((node) => {
    budget.left--;
    return field === '' ? parseFieldless(node, known, problems) : parseValue(field, node, known, problems);
  });
  const all = combine(known.all ? 'and' : 'or', tests);
  return known.negated && all ? { op: 'not', of: all } : all;
}

type Modifiers = {
  readonly anchor: PatternAnchor;
  readonly relation: Relation | null;
  readonly all: boolean;
  readonly cased: boolean;
  readonly exists: boolean;
  readonly negated: boolean;
};

function checkModifiers(modifiers: readonly string[], at: Position, problems: ProblemSink): Modifiers | undefined {
  const anchors = modifiers.filter((modifier) => ANCHORS.includes(modifier));
  const relations = modifiers.filter((modifier) => RELATIONS.includes(modifier));
  for (const modifier of modifiers) {
    const refusal = REFUSED_MODIFIERS[modifier];
    if (refusal !== undefined) {
      problems.report('unsupported', at, `modifier '${modifier}': ${refusal}`);
      return undefined;
    }
    if (![...ANCHORS, ...RELATIONS, 'all', 'cased', 'exists', 'neq'].includes(modifier)) {
      problems.report('modifier_unknown', at, `'${modifier}' is not a Sigma modifier`);
      return undefined;
    }
  }
  const repeated = new Set(modifiers).size !== modifiers.length;
  const alone = modifiers.includes('exists') && modifiers.length > 1;
  const mixed =
    relations.length > 0 && (anchors.length > 0 || modifiers.includes('cased') || modifiers.includes('all'));
  if (repeated || alone || mixed || anchors.length > 1 || relations.length > 1) {
    problems.report('modifier_combination', at, `'${modifiers.join('|')}' cannot be combined`);
    return undefined;
  }
  return {
    anchor: (anchors[0] as PatternAnchor | undefined) ?? 'whole',
    relation: (relations[0] as Relation | undefined) ?? null,
    all: modifiers.includes('all'),
    cased: modifiers.includes('cased'),
    exists: modifiers.includes('exists'),
    negated: modifiers.includes('neq'),
  };
}

/** `'|all': [a, b]`: keywords that must all be there. */
function parseFieldless(node: YamlNode, modifiers: Modifiers, problems: ProblemSink): Test | undefined {
  if (modifiers.exists || modifiers.relation || modifiers.anchor === 'startswith' || modifiers.anchor === 'endswith') {
    problems.report('modifier_combination', node.at, 'keywords take only contains, all, cased and neq');
    return undefined;
  }
  const keyword = parseKeyword(node, problems, { left: 1 });
  return keyword?.op === 'keyword' ? { ...keyword, cased: modifiers.cased } : keyword;
}

function parseValue(field: string, node: YamlNode, modifiers: Modifiers, problems: ProblemSink): Test | undefined {
  if (node.kind !== 'scalar') {
    problems.report('value_invalid', node.at, `a value of '${field}' must be text, a number, a boolean or null`);
    return undefined;
  }
  const value = node.value;
  if (modifiers.exists) {
    if (typeof value === 'boolean') return { op: 'exists', field, present: value };
    problems.report('value_invalid', node.at, "'exists' takes true or false");
    return undefined;
  }
  if (modifiers.relation) {
    const number = typeof value === 'number' ? value : typeof value === 'string' ? Number(value) : Number.NaN;
    if (Number.isFinite(number) && value !== '')
      return { op: 'compare', field, relation: modifiers.relation, value: number };
    problems.report('value_invalid', node.at, `'${modifiers.relation}' takes a number`);
    return undefined;
  }
  if (value === null) {
    if (modifiers.anchor === 'whole') return { op: 'null', field };
    problems.report('modifier_combination', node.at, `'${modifiers.anchor}' takes no null`);
    return undefined;
  }
  const parts = typeof value === 'string' ? parsePattern(value) : [{ kind: 'text' as const, text: String(value) }];
  return { op: 'text', field, parts, anchor: modifiers.anchor, cased: modifiers.cased };
}
