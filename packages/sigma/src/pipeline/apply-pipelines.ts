import type { Position, YamlScalar } from '../yaml-tree.ts';
import { fieldHolds, holds, itemHolds, type Progress, ruleHolds } from './conditions.ts';
import type { Pipeline, Step, Transformation } from './pipeline-definition.ts';
import { type Draft, type DraftField, type DraftItem, draftOf, mapItems, type RuleDraft } from './rule-draft.ts';
import { withNames } from './several-names.ts';
import {
  changeCase,
  convertType,
  fillPlaceholders,
  mapString,
  replaceString,
  StepFailure,
  setValue,
  splitHashes,
} from './value-steps.ts';

/** Why a pipeline refuses a rule, with the place in the rule. */
export type ReportFailure = (at: Position, message: string) => void;

type Run = {
  readonly rule: RuleDraft;
  readonly vars: Readonly<Record<string, readonly string[]>>;
  readonly state: Map<string, string>;
  readonly applied: Set<string>;
  /** Items, values and names that steps may still add to the rule. */
  growthLeft: number;
  /** With the first one the rule is refused: no step after that one is applied. */
  failures: number;
  readonly report: ReportFailure;
};

/** A rule of more values is refused anyway (`testsMax`); steps that multiply must stop long before memory ends. */
const GROWTH_MAX = 20_000;
/** Failures of one step that are named, place by place. */
const FAILURES_SHOWN_MAX = 10;
/** Characters of a field's name. */
const NAME_CHARACTERS_MAX = 1_024;

/** In the order in which they are applied: by priority, of equal ones as given. */
export function inOrder(pipelines: readonly Pipeline[]): readonly Pipeline[] {
  return [...pipelines].sort((a, b) => a.priority - b.priority);
}

/**
 * Applies pipelines, one after the other, to the draft of a rule; state and variables are common to all of them. The
 * same rule and pipelines always give the same result.
 */
export function applyPipelines(pipelines: readonly Pipeline[], rule: RuleDraft, report: ReportFailure): void {
  const vars: Record<string, readonly string[]> = {};
  for (const pipeline of pipelines) Object.assign(vars, pipeline.vars);
  const run: Run = { rule, vars, state: new Map(), applied: new Set(), growthLeft: GROWTH_MAX, failures: 0, report };
  for (const { steps } of pipelines) applySteps(steps, run);
}

function applySteps(steps: readonly Step[], run: Run): void {
  for (const step of steps) {
    if (run.failures > 0) return;
    if (!holds(step.rule, (condition) => ruleHolds(condition, run.rule, run))) continue;
    applyStep(step, run);
    if (step.id !== null) run.applied.add(step.id);
  }
}

function applyStep(step: Step, run: Run): void {
  const { transformation } = step;
  const { rule } = run;
  switch (transformation.type) {
    case 'nest':
      applySteps(transformation.steps, run);
      return;
    case 'set_state':
      run.state.set(transformation.key, transformation.value);
      return;
    case 'set_custom_attribute':
      rule.attributes.set(transformation.attribute, transformation.value);
      return;
    case 'change_logsource': {
      const { product, service, category } = transformation;
      if (rule.kind !== 'correlation') rule.logSource = { product, service, category };
      return;
    }
    case 'rule_failure':
      fail(run, rule.at, transformation.message);
      return;
    case 'add_condition':
      if (rule.kind === 'detection') rule.conditions.push(addedCondition(transformation, step, rule));
      return;
    case 'add_field':
    case 'remove_field':
    case 'set_field':
      changeFields(transformation, rule);
      return;
    default:
      changeItems(step, run);
      changeNames(step, run);
  }
}

function addedCondition(
  { conditions, template, negated }: Extract<Transformation, { readonly type: 'add_condition' }>,
  step: Step,
  rule: RuleDraft,
): RuleDraft['conditions'][number] {
  const filled = (node: YamlScalar): YamlScalar =>
    template && typeof node.value === 'string' ? { ...node, value: fromTemplate(node.value, rule) } : node;
  const at = rule.at;
  const entries = conditions.map(({ key, values }) => ({
    key,
    keyAt: at,
    value: { kind: 'list' as const, at, items: values.map((node) => ({ ...filled(node), at })) },
  }));
  const draft = draftOf({ kind: 'map', at, entries });
  return { draft: mapItems(draft, (item) => withStep(item, step)), negated };
}

/** `$category`, `$product`, `$service` and `${...}`; `$$` is a dollar sign. */
function fromTemplate(text: string, { logSource }: RuleDraft): string {
  return text.replaceAll(/\$\$|\$\{?(category|product|service)\b\}?/g, (_, key: string | undefined) =>
    key === undefined ? '$' : (logSource[key as keyof typeof logSource] ?? ''),
  );
}

function changeFields(
  { type, fields }: Extract<Transformation, { readonly type: 'add_field' | 'remove_field' | 'set_field' }>,
  rule: RuleDraft,
): void {
  if (rule.kind !== 'detection') return;
  if (type === 'set_field') rule.fields.clear();
  for (const name of fields) {
    if (type === 'remove_field') rule.fields.delete(name);
    else rule.fields.set(name, [{ name, applied: new Set() }]);
  }
}

function changeItems(step: Step, run: Run): void {
  const change = (item: DraftItem): Draft | null => {
    if (run.growthLeft < 0 || !appliesTo(step, item, run)) return item;
    try {
      const changed = changeItem(item, step.transformation, run);
      if (changed && changed !== item) spendGrowth(run, sizeOf(changed) - sizeOf(item));
      // Only what a step changed counts as one it was applied to.
      return changed === item || !changed ? changed : mapItems(changed, (inner) => withStep(inner, step));
    } catch (error) {
      if (!(error instanceof StepFailure)) throw error;
      fail(run, item.at, error.message);
      return item;
    }
  };
  const { selections, conditions } = run.rule;
  for (const [name, draft] of selections) if (draft) selections.set(name, mapItems(draft, change));
  for (const condition of conditions) if (condition.draft) condition.draft = mapItems(condition.draft, change);
}

function fail(run: Run, at: Position, message: string): void {
  if (run.failures++ < FAILURES_SHOWN_MAX) run.report(at, message);
}

/** Values of the items. */
function sizeOf(draft: Draft): number {
  return draft.kind === 'item' ? draft.values.length : draft.of.reduce((sum, part) => sum + sizeOf(part), 0);
}

function spendGrowth(run: Run, added: number): void {
  run.growthLeft -= Math.max(0, added);
  if (run.growthLeft < 0) throw new StepFailure(`pipelines add more than ${GROWTH_MAX} values and names to the rule`);
}

function appliesTo(step: Step, item: DraftItem, progress: Progress): boolean {
  return (
    holds(step.item, (condition) => itemHolds(condition, item, progress)) &&
    holds(step.field, (condition) => fieldHolds(condition, { name: item.field, applied: item.applied }, progress))
  );
}

function withStep(item: DraftItem, { id }: Step): DraftItem {
  return id === null || item.applied.has(id) ? item : { ...item, applied: new Set([...item.applied, id]) };
}

/** Null drops the item. */
function changeItem(item: DraftItem, transformation: Transformation, run: Run): Draft | null {
  switch (transformation.type) {
    case 'drop_detection_item':
      return null;
    case 'detection_item_failure':
      throw new StepFailure(transformation.message);
    case 'replace_string':
      return replaceString(item, transformation);
    case 'map_string':
      return mapString(item, transformation);
    case 'set_value':
      return setValue(item, transformation);
    case 'convert_type':
      return convertType(item, transformation);
    case 'case':
      return changeCase(item, transformation);
    case 'value_placeholders':
    case 'wildcard_placeholders':
      return fillPlaceholders(item, transformation, run.vars);
    case 'hashes_fields':
      return splitHashes(item, transformation);
    default:
      return renamed(withRenamedReference(item, transformation), transformation);
  }
}

function renamed(item: DraftItem, transformation: Transformation): Draft {
  const names = item.field === null ? null : namesOf(item.field, transformation);
  return names ? withNames(item, names) : item;
}

/** The other field of `fieldref` is a field too. */
function withRenamedReference(item: DraftItem, transformation: Transformation): DraftItem {
  if (!item.modifiers.includes('fieldref')) return item;
  let isChanged = false;
  const values = item.values.flatMap((node) => {
    const names = node.kind === 'scalar' && typeof node.value === 'string' ? namesOf(node.value, transformation) : null;
    if (names) isChanged = true;
    return names ? names.map((value): YamlScalar => ({ kind: 'scalar', at: node.at, value })) : [node];
  });
  return isChanged ? { ...item, values } : item;
}

/** New names of a field; null when the step has none for it. */
function namesOf(field: string, transformation: Transformation): readonly string[] | null {
  switch (transformation.type) {
    case 'field_name_mapping':
      return transformation.mapping.get(field) ?? null;
    case 'field_name_prefix_mapping':
      for (const [prefix, names] of transformation.mapping) {
        if (field.startsWith(prefix)) return names.map((name) => shortEnough(name + field.slice(prefix.length)));
      }
      return null;
    case 'field_name_prefix':
      return [shortEnough(transformation.text + field)];
    case 'field_name_suffix':
      return [shortEnough(field + transformation.text)];
    default:
      return null;
  }
}

function shortEnough(name: string): string {
  if (name.length <= NAME_CHARACTERS_MAX) return name;
  throw new StepFailure(`the name of a field would have more than ${NAME_CHARACTERS_MAX} characters`);
}

/** Fields named beside the detection; conditions on values have nothing to look at there and are left out. */
function changeNames(step: Step, run: Run): void {
  const { fields } = run.rule;
  for (const [written, known] of fields) {
    const changed = known.flatMap((field): readonly DraftField[] => {
      if (run.growthLeft < 0) return [field];
      if (!holds(step.field, (condition) => fieldHolds(condition, field, run))) return [field];
      return newNames(field, step, run);
    });
    fields.set(written, changed);
  }
}

function newNames(field: DraftField, { id, transformation }: Step, run: Run): readonly DraftField[] {
  try {
    const names = namesOf(field.name, transformation);
    if (!names) return [field];
    spendGrowth(run, names.length - 1);
    const applied = id === null ? field.applied : new Set([...field.applied, id]);
    return names.map((name) => ({ name, applied }));
  } catch (error) {
    if (!(error instanceof StepFailure)) throw error;
    fail(run, run.rule.at, error.message);
    return [field];
  }
}
