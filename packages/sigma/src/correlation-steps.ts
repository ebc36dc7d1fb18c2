import { ConditionSyntaxError, parseCondition } from './condition.ts';
import type { OrderedStep, StepExpression } from './correlation-definition.ts';
import type { CorrelationExtensions, Reference } from './correlation-extensions.ts';
import { type Asked, type Reading, scalarOf } from './correlation-reading.ts';
import { readStepExpression } from './step-expression.ts';
import { entryOf, type Position, type YamlMap } from './yaml-tree.ts';

/** Steps in the making: texts as written, one step per rule or, in ordered rules, per mention. */
type StepList = { readonly references: Reference[]; readonly keys: string[] };

/** Reads the steps of temporal and temporal_ordered: which there are, and what is asked of them. */
export function readSteps(listed: readonly Reference[], extensions: CorrelationExtensions, reading: Reading): Asked {
  const steps: StepList = { references: [], keys: [] };
  const base = { type: reading.type, bounds: [], percentile: null, fields: [], references: steps.references };
  if (reading.type === 'temporal') {
    return { ...base, temporal: readTemporal(listed, steps, reading), ordered: [], until: [] };
  }
  const ordered = readOrdered(listed, steps, reading);
  const withRuns = applyRuns(ordered, steps, extensions, reading);
  const until = extensions.until
    .slice(0, reading.limits.stepsMax + 1)
    .map((reference) => addStep(steps, reference, reading));
  return { ...base, temporal: null, ordered: withRuns, until };
}

/** Index of the new step. Past the limit no step is added, so that a rule of a million steps costs no more. */
function addStep(steps: StepList, reference: Reference, { canonical, limits, report, type }: Reading): number {
  if (steps.keys.length === limits.stepsMax) {
    report('limit_exceeded', reference.at, `${type} takes at most ${limits.stepsMax} rules, 'until' included`);
  }
  if (steps.keys.length > limits.stepsMax) return 0;
  steps.keys.push(canonical(reference.text));
  return steps.references.push(reference) - 1;
}

function readTemporal(listed: readonly Reference[], steps: StepList, reading: Reading): StepExpression | null {
  const { correlation, report, canonical, warnings } = reading;
  for (const reference of listed) {
    if (!steps.keys.includes(canonical(reference.text))) addStep(steps, reference, reading);
    else warnings.report('value_invalid', reference.at, `'${reference.text}' is listed twice: it counts once`);
  }
  const all: StepExpression = { op: 'at_least', count: steps.keys.length, steps: [...steps.keys.keys()] };
  const entry = entryOf(correlation, 'condition');
  if (!entry) return all;
  if (entry.value.kind === 'map') {
    const count = readStepCount(entry.value, steps.keys.length, reading);
    return count === undefined ? null : { ...all, count };
  }
  const text = scalarOf(entry);
  if (typeof text !== 'string') {
    report('value_invalid', entry.value.at, "the condition of temporal is {gte: 2}, or text such as 'a and not b'");
    return null;
  }
  const listedCount = steps.keys.length;
  const used = new Set<number>();
  const expression = readConditionText(text, entry.value.at, reading, (condition) =>
    readStepExpression(condition, {
      listed: listed.map((reference) => reference.text),
      stepOf: (name, at) => {
        const known = steps.keys.indexOf(canonical(name));
        const step = known >= 0 ? known : addStep(steps, { text: name, at: shifted(entry.value.at, at) }, reading);
        used.add(step);
        return step;
      },
    }),
  );
  for (let step = 0; expression && step < listedCount; step++) {
    const reference = steps.references[step];
    if (reference && !used.has(step)) {
      warnings.report('value_invalid', reference.at, `the condition does not speak of '${reference.text}'`);
    }
  }
  return expression ?? null;
}

function shifted(at: Position, characters: number): Position {
  return { line: at.line, column: at.column + characters };
}

function readConditionText<Result>(
  text: string,
  at: Position,
  { report, limits }: Reading,
  read: (condition: ReturnType<typeof parseCondition>) => Result,
): Result | undefined {
  if (text.length > limits.conditionCharactersMax) {
    report('limit_exceeded', at, `the condition has more than ${limits.conditionCharactersMax} characters`);
    return undefined;
  }
  try {
    return read(parseCondition(text));
  } catch (error) {
    if (!(error instanceof ConditionSyntaxError)) throw error;
    report('condition_syntax', shifted(at, error.at), error.message);
    return undefined;
  }
}

/** `{gte: 2}`: so many of the rules. */
function readStepCount(condition: YamlMap, steps: number, { report, type }: Reading): number | undefined {
  const [entry, ...more] = condition.entries;
  const value = scalarOf(entry);
  if (!entry || more.length > 0 || (entry.key !== 'gte' && entry.key !== 'gt')) {
    report('unsupported', condition.at, `the condition of ${type} counts rules: {gte: n}; or text: 'a and not b'`);
    return undefined;
  }
  const count = typeof value === 'number' ? value + (entry.key === 'gt' ? 1 : 0) : Number.NaN;
  if (Number.isInteger(count) && count >= 1 && count <= steps) return count;
  report('value_invalid', entry.value.at, `'${entry.key}' must ask for 1 to ${steps} rules: so many there are`);
  return undefined;
}

/** Order of the rules list, where `not x` stands for a step that must not happen; or of a flat `a and not b and c`. */
function readOrdered(listed: readonly Reference[], steps: StepList, reading: Reading): readonly OrderedStep[] {
  const { correlation, report } = reading;
  const entry = entryOf(correlation, 'condition');
  const text = scalarOf(entry);
  if (entry?.value.kind === 'map') {
    const count = readStepCount(entry.value, listed.length, reading);
    if (count !== undefined && count !== listed.length) {
      report('unsupported', entry.value.at, 'all steps of temporal_ordered must happen: leave out the condition');
    }
  } else if (entry && typeof text !== 'string') {
    report('value_invalid', entry.value.at, "the condition of temporal_ordered is text: 'a and not b and c'");
  }
  const mentions =
    typeof text === 'string' && entry ? readMentions(text, entry.value.at, reading) : listed.map(mentionOf);
  const ordered = mentions.slice(0, reading.limits.stepsMax + 1).map(({ reference, negated }): OrderedStep => {
    return { step: addStep(steps, reference, reading), runs: 1, negated };
  });
  if (typeof text === 'string') addUnmentioned(listed, steps, reading);
  if (!ordered.some(({ negated }) => !negated)) {
    report('value_invalid', correlation.at, 'temporal_ordered needs a step that does happen');
  }
  return ordered;
}

type Mention = { readonly reference: Reference; readonly negated: boolean };

function mentionOf(reference: Reference): Mention {
  const negated = /^not\s+(\S.*)$/i.exec(reference.text)?.[1];
  return negated === undefined
    ? { reference, negated: false }
    : { reference: { ...reference, text: negated }, negated: true };
}

function readMentions(text: string, at: Position, reading: Reading): readonly Mention[] {
  const mentions = readConditionText(text, at, reading, (condition): readonly Mention[] => {
    const parts = condition.kind === 'and' ? condition.of : [condition];
    return parts.map((part) => {
      const inner = part.kind === 'not' ? part.of : part;
      if (inner.kind !== 'selection') {
        throw new ConditionSyntaxError("the condition of temporal_ordered joins rules by 'and': a and not b and c", 0);
      }
      return { reference: { text: inner.name, at: shifted(at, inner.at) }, negated: part.kind === 'not' };
    });
  });
  return mentions ?? [];
}

function addUnmentioned(listed: readonly Reference[], steps: StepList, { canonical, warnings }: Reading): void {
  for (const { text, at } of listed) {
    if (!steps.keys.includes(canonical(text))) {
      warnings.report('value_invalid', at, `the condition does not speak of '${text}': it has no effect`);
    }
  }
}

function applyRuns(
  ordered: readonly OrderedStep[],
  steps: StepList,
  { runs }: CorrelationExtensions,
  { canonical, report, correlation }: Reading,
): readonly OrderedStep[] {
  const counts = new Map(runs.map(({ rule, count }) => [canonical(rule.text), count]));
  const isPositive = (key: string): boolean =>
    ordered.some(({ step, negated }) => !negated && steps.keys[step] === key);
  for (const { rule } of runs) {
    if (!isPositive(canonical(rule.text))) {
      report('reference_unknown', rule.at, `'runs' names '${rule.text}', which is no step that must happen`);
    }
  }
  const withRuns = ordered.map((step) => ({
    ...step,
    runs: step.negated ? 1 : (counts.get(steps.keys[step.step] ?? '') ?? 1),
  }));
  if (withRuns.length < 2 && withRuns.every((step) => step.runs < 2)) {
    report('value_invalid', correlation.at, 'temporal_ordered needs at least two rules');
  }
  return withRuns;
}
