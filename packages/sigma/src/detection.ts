import { type Condition, ConditionSyntaxError, parseCondition, selectionsOf } from './condition.ts';
import { combine, type DetectionContext, NOTHING, parseItem, spend } from './detection-item.ts';
import type { PlaceholderLists } from './expand.ts';
import type { RuleLimits } from './limits.ts';
import { type Draft, draftOf } from './pipeline/rule-draft.ts';
import type { Test } from './test-tree.ts';
import { entryOf, type Position, type ProblemSink, type YamlMap, type YamlNode } from './yaml-tree.ts';

/** The selections by name, and what is joined to the condition by AND. */
export type Drafts = {
  readonly selections: Map<string, Draft | null>;
  readonly conditions: readonly { readonly draft: Draft | null; readonly negated: boolean }[];
};
export type DetectionOptions = {
  readonly limits: RuleLimits;
  readonly expand: PlaceholderLists;
  /** What pipelines make of the selections as written. */
  readonly rewrite?: ((written: Drafts['selections']) => Drafts) | undefined;
};
/** A `detection` or `filter` part as read: its tests, and whether the condition only excludes (`not ...`). */
export type ParsedCondition = { readonly test: Test; readonly isExclusion: boolean };

/** Keys beside the selections. `timeframe` belongs to Sigma 1; `rules` to filters. */
const NO_SELECTIONS: readonly string[] = ['condition', 'timeframe'];

/** Reads the `detection` part of a rule. Undefined when it cannot be run; the reasons are then reported. */
export function parseDetection(detection: YamlMap, problems: ProblemSink, options: DetectionOptions): Test | undefined {
  return parseConditions(detection, problems, { ...options, owner: 'detection', besides: NO_SELECTIONS })?.test;
}

/** Selections and condition of a `detection` or a `filter`; `besides` names the keys that are no selections. */
export function parseConditions(
  part: YamlMap,
  problems: ProblemSink,
  options: DetectionOptions & { readonly owner: string; readonly besides: readonly string[] },
): ParsedCondition | undefined {
  const condition = entryOf(part, 'condition');
  if (!condition) {
    problems.report('key_missing', part.at, `'${options.owner}' needs a 'condition'`);
    return undefined;
  }
  const context: DetectionContext = {
    limits: options.limits,
    expand: options.expand,
    testsLeft: options.limits.testsMax,
    charactersLeft: options.limits.charactersMax,
    report: (code, at, message) => problems.report(code, at, message),
  };
  const written = new Map<string, Draft | null>();
  for (const { key, value } of part.entries) if (!options.besides.includes(key)) written.set(key, draftOf(value));
  const drafts = options.rewrite?.(written) ?? { selections: written, conditions: [] };
  const selections = new Map<string, Selection>();
  for (const [name, draft] of drafts.selections) {
    const before = context.testsLeft;
    const test = draft ? parseSelection(draft, context) : NOTHING;
    selections.set(name, { test, size: before - context.testsLeft });
    if (context.testsLeft < 0 || context.charactersLeft < 0) return undefined;
  }
  const timeframe = entryOf(part, 'timeframe');
  if (timeframe) {
    problems.report('unsupported', timeframe.keyAt, "'timeframe' belongs to Sigma 1: write a correlation rule");
    return undefined;
  }
  const nodes = condition.value.kind === 'list' ? condition.value.items : [condition.value];
  const parsed = nodes.map((node) => parseConditionNode(node, selections, context));
  const found = combine(
    'or',
    parsed.map((one) => one?.test),
  );
  const added = drafts.conditions.map(({ draft, negated }) =>
    negatedIf(negated, draft ? parseSelection(draft, context) : NOTHING),
  );
  const test = added.length === 0 ? found : combine('and', [...added, found]);
  if (test === NOTHING) {
    context.report('value_invalid', condition.keyAt, 'the pipeline leaves nothing of this condition');
    return undefined;
  }
  return test && { test, isExclusion: parsed.every((one) => one?.isExclusion === true) };
}

/** `size`: values it costs, charged again each time a condition names it. */
type Selection = { readonly test: Test | undefined; readonly size: number };
type Selections = ReadonlyMap<string, Selection>;

function parseConditionNode(
  node: YamlNode,
  selections: Selections,
  context: DetectionContext,
): ParsedCondition | undefined {
  if (node.kind !== 'scalar' || typeof node.value !== 'string') {
    context.report('value_invalid', node.at, 'a condition must be text');
    return undefined;
  }
  const { conditionCharactersMax } = context.limits;
  if (node.value.length > conditionCharactersMax) {
    context.report('limit_exceeded', node.at, `the condition has more than ${conditionCharactersMax} characters`);
    return undefined;
  }
  try {
    const condition = parseCondition(node.value);
    const test = resolveCondition(condition, selections, node.at, context);
    return test && { test, isExclusion: isExclusion(condition) };
  } catch (error) {
    if (!(error instanceof ConditionSyntaxError)) throw error;
    context.report('condition_syntax', shifted(node.at, error.at), error.message);
    return undefined;
  }
}

/** `not a`, `not a and not b`: says what to leave out, not what to find. */
function isExclusion(condition: Condition): boolean {
  if (condition.kind === 'not') return true;
  return (condition.kind === 'and' || condition.kind === 'or') && condition.of.every(isExclusion);
}

function shifted(at: Position, characters: number): Position {
  return { line: at.line, column: at.column + characters };
}

function resolveCondition(
  condition: Condition,
  selections: Selections,
  at: Position,
  context: DetectionContext,
): Test | undefined {
  switch (condition.kind) {
    case 'and':
    case 'or':
      return combine(
        condition.kind,
        condition.of.map((inner) => resolveCondition(inner, selections, at, context)),
      );
    case 'not':
      return negatedIf(true, resolveCondition(condition.of, selections, at, context));
    case 'selection': {
      const selection = selections.get(condition.name);
      if (!selection) {
        const message = `there is no selection '${condition.name}'`;
        context.report('selection_unknown', shifted(at, condition.at), message);
        return undefined;
      }
      return spend(context, selection.size, 0, at) ? selection.test : undefined;
    }
    case 'quantified':
      return resolveQuantified(condition, selections, shifted(at, condition.at), context);
  }
}

function resolveQuantified(
  { pattern, all }: { pattern: string; all: boolean },
  selections: Selections,
  at: Position,
  context: DetectionContext,
): Test | undefined {
  // Looking through the names is work too: one value each.
  if (!spend(context, selections.size, 0, at)) return undefined;
  const names = selectionsOf(pattern, [...selections.keys()]);
  if (names.length === 0) {
    const message = `'${pattern}' stands for no selection, so the condition could never be decided`;
    context.report('pattern_matches_nothing', at, message);
    return undefined;
  }
  const tests: (Test | undefined)[] = [];
  for (const name of names) {
    const selection = selections.get(name);
    if (!spend(context, selection?.size ?? 0, 0, at)) return undefined;
    tests.push(selection?.test);
  }
  return combine(all ? 'and' : 'or', tests);
}

function negatedIf(negated: boolean, test: Test | undefined): Test | undefined {
  return negated && test && test !== NOTHING ? { op: 'not', of: test } : test;
}

function parseSelection(draft: Draft, context: DetectionContext): Test | undefined {
  if (draft.kind === 'item') return parseItem(draft, context);
  if (draft.of.length === 0) {
    context.report('value_invalid', draft.at, 'a selection must not be empty');
    return undefined;
  }
  const tests: (Test | undefined)[] = [];
  for (const part of draft.of) {
    if (context.testsLeft < 0 || context.charactersLeft < 0) return undefined;
    tests.push(parseSelection(part, context));
  }
  return combine(draft.kind === 'all' ? 'and' : 'or', tests);
}
