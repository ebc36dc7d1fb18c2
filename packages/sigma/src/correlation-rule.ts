import { areLowerOnly, areSatisfiable, BOUND_RELATIONS, type BoundDomain, canonicalBounds } from './bounds.ts';
import { ConditionSyntaxError, parseCondition } from './condition.ts';
import type {
  Bound,
  CorrelationDefinition,
  CorrelationType,
  OrderedStep,
  StepExpression,
} from './correlation-definition.ts';
import {
  type CorrelationExtensions,
  extendedType,
  extensionsEntry,
  type Reference,
  type Report,
  readExtensions,
  readFlag,
} from './correlation-extensions.ts';
import type { RuleLimits } from './limits.ts';
import { hasNegation, readStepExpression } from './step-expression.ts';
import { readTimespan } from './timespan.ts';
import {
  entryOf,
  type Position,
  type ProblemSink,
  textEntry,
  textListEntry,
  type YamlEntry,
  type YamlMap,
} from './yaml-tree.ts';

/** A `correlation` part as written: steps are still names or ids, in the order of the definition's step indices. */
export type CorrelationSource = {
  readonly references: readonly Reference[];
  readonly groupBy: readonly string[];
  /** Alias name to the field it stands for in each referenced rule. */
  readonly aliases: ReadonlyMap<string, ReadonlyMap<string, string>>;
  /** Fields whose tuples, or whose number, each hit carries. */
  readonly fields: readonly string[];
  readonly nullGroup: boolean;
  readonly generate: boolean;
  /** `decided` is for rules without a chained step; the linker knows better. */
  readonly definition: CorrelationDefinition;
};

export type CorrelationContext = {
  readonly limits: RuleLimits;
  readonly problems: ProblemSink;
  readonly warnings: ProblemSink;
  /** The one name of a rule that an id or a name means; any other text is its own. */
  canonical(text: string): string;
};

const TYPES: readonly CorrelationType[] = [
  'event_count',
  'value_count',
  'value_sum',
  'value_avg',
  'value_percentile',
  'value_rarity',
  'temporal',
  'temporal_ordered',
];
const KEYS: readonly string[] = ['type', 'rules', 'group-by', 'aliases', 'timespan', 'condition', 'generate', 'x-corr'];
/** Windows above this deserve a look: their state is kept as long. */
const TIMESPAN_MS_USUAL = 86_400_000;

/** What reading one correlation shares. */
type Reading = CorrelationContext & {
  readonly correlation: YamlMap;
  readonly report: Report;
  readonly type: CorrelationType;
  readonly isMedian: boolean;
};

/** Reads the `correlation` part of a rule. Undefined when it cannot be run; the reasons are then reported. */
export function parseCorrelation(
  rule: YamlMap,
  correlation: YamlMap,
  context: CorrelationContext,
): CorrelationSource | undefined {
  let isSound = true;
  const report: Report = (code, at, message) => {
    isSound = false;
    context.problems.report(code, at, message);
  };
  const sink: ProblemSink = { path: context.problems.path, report };
  const extensions = extensionsEntry(rule, correlation, report);
  const written = extendedType(extensions, report) ?? textEntry(correlation, 'type', sink) ?? '';
  const type = TYPES.find((known) => known === (written === 'value_median' ? 'value_percentile' : written));
  if (!type) {
    const at = entryOf(correlation, 'type')?.value.at ?? correlation.at;
    report('value_invalid', at, `'type' must be one of ${TYPES.join(', ')}, value_median`);
    return undefined;
  }
  for (const { key, keyAt } of correlation.entries) {
    if (!KEYS.includes(key)) report('key_unknown', keyAt, `a correlation has no key '${key}'`);
  }
  const reading: Reading = { ...context, correlation, report, type, isMedian: written === 'value_median' };
  const groupBy = readFields(correlation, 'group-by', reading);
  const source = readSource(rule, extensions, groupBy, reading);
  return isSound ? source : undefined;
}

function readSource(
  rule: YamlMap,
  extensionsAt: YamlEntry | undefined,
  groupBy: readonly string[],
  reading: Reading,
): CorrelationSource {
  const { correlation, report, limits, problems } = reading;
  const sink: ProblemSink = { path: problems.path, report };
  const extensions = readExtensions(extensionsAt, { type: reading.type, groupBy, limits, report });
  const listed = textListEntry(correlation, 'rules', sink);
  const isTemporal = reading.type === 'temporal' || reading.type === 'temporal_ordered';
  const hasCondition = typeof scalarOf(entryOf(correlation, 'condition')) === 'string';
  if (listed.length === 0 && !(isTemporal && hasCondition)) {
    report(
      'key_missing',
      entryOf(correlation, 'rules')?.keyAt ?? correlation.at,
      "'rules' must name at least one rule",
    );
  }
  const asked = isTemporal ? readSteps(listed, extensions, reading) : readMeasure(listed, extensions, reading);
  checkSize(asked.references.length, isTemporal, reading);
  const window = extensions.expect.length > 0 ? { kind: 'tumbling' as const } : extensions.window;
  const definition: CorrelationDefinition = {
    type: asked.type,
    spanMs: readSpan(reading),
    window,
    bounds: asked.bounds,
    percentile: asked.percentile,
    temporal: asked.temporal,
    ordered: asked.ordered,
    strict: extensions.strict,
    gapMs: extensions.gapMs,
    until: asked.until,
    reuse: extensions.reuse,
    onMatch: extensions.onMatch,
    suppressMs: extensions.suppressMs,
    expect: extensions.expect,
    decided: 'watermark',
  };
  return {
    references: asked.references,
    groupBy,
    aliases: readAliases(correlation, report),
    fields: asked.fields,
    nullGroup: extensions.nullGroup,
    generate: readGenerate(rule, reading),
    definition,
  };
}

/** More hits can only make it true (EXACTNESS X10, correlation-semantics section 2). */
export function isMonotone(definition: CorrelationDefinition): boolean {
  switch (definition.type) {
    case 'event_count':
    case 'value_count':
    case 'value_sum':
      return areLowerOnly(definition.bounds);
    case 'temporal':
      return definition.temporal !== null && !hasNegation(definition.temporal);
    case 'temporal_ordered':
      return definition.until.length === 0 && !definition.ordered.some(({ negated }) => negated);
    case 'value_avg':
    case 'value_percentile':
    case 'value_rarity':
      return false;
  }
}

/** When a rule of this definition can be decided (EXACTNESS X10.8). */
export function decidedOf(
  definition: CorrelationDefinition,
  hasChainedStep: boolean,
): CorrelationDefinition['decided'] {
  const isPlain = definition.window.kind === 'sliding' && definition.onMatch === 'suppress' && !hasChainedStep;
  return isPlain && isMonotone(definition) ? 'arrival' : 'watermark';
}

/** What the type-specific keys say. */
type Asked = Pick<CorrelationDefinition, 'type' | 'bounds' | 'percentile' | 'temporal' | 'ordered' | 'until'> & {
  readonly references: readonly Reference[];
  readonly fields: readonly string[];
};

function checkSize(references: number, isTemporal: boolean, { limits, report, correlation, type }: Reading): void {
  const most = isTemporal ? limits.stepsMax : limits.referencesMax;
  if (references > most) report('limit_exceeded', correlation.at, `${type} takes at most ${most} rules`);
}

function scalarOf(entry: YamlEntry | undefined): string | number | boolean | null | undefined {
  return entry?.value.kind === 'scalar' ? entry.value.value : undefined;
}

function readFields(map: YamlMap, key: string, { report, limits, problems }: Reading): readonly string[] {
  const fields = textListEntry(map, key, { path: problems.path, report }).map(({ text }) => text);
  const at = entryOf(map, key)?.keyAt ?? map.at;
  if (fields.length > limits.groupFieldsMax) {
    report('limit_exceeded', at, `'${key}' takes at most ${limits.groupFieldsMax} fields`);
  }
  if (new Set(fields).size !== fields.length) report('value_invalid', at, `'${key}' names a field twice`);
  return fields;
}

function readSpan({ correlation, report, warnings, limits }: Reading): number {
  const entry = entryOf(correlation, 'timespan');
  const at = entry?.value.at ?? correlation.at;
  if (!entry) {
    report('key_missing', at, "a correlation needs a 'timespan' such as 15m");
    return 0;
  }
  const spanMs = readTimespan(entry.value, 'timespan');
  if (typeof spanMs !== 'number') {
    report(spanMs.reason.includes('months') ? 'unsupported' : 'value_invalid', at, spanMs.reason);
    return 0;
  }
  if (spanMs > limits.timespanMsMax) {
    const days = limits.timespanMsMax / 86_400_000;
    report('limit_exceeded', at, `'timespan' is longer than ${days} days: state would be kept as long`);
  } else if (spanMs > TIMESPAN_MS_USUAL) {
    warnings.report('value_invalid', at, "'timespan' is longer than a day: state and log are kept as long");
  }
  return spanMs;
}

/** `generate` beside `correlation` (specification) or in it (pySigma); the outer one wins. */
function readGenerate(rule: YamlMap, { correlation, report }: Reading): boolean {
  return entryOf(rule, 'generate') ? readFlag(rule, 'generate', report) : readFlag(correlation, 'generate', report);
}

function readAliases(correlation: YamlMap, report: Report): ReadonlyMap<string, ReadonlyMap<string, string>> {
  const entry = entryOf(correlation, 'aliases');
  const aliases = new Map<string, ReadonlyMap<string, string>>();
  if (!entry || scalarOf(entry) === null) return aliases;
  if (entry.value.kind !== 'map') {
    report('value_invalid', entry.keyAt, "'aliases' must be a map");
    return aliases;
  }
  for (const alias of entry.value.entries) {
    if (alias.value.kind !== 'map') {
      report('value_invalid', alias.keyAt, `alias '${alias.key}' must map rules to fields`);
      continue;
    }
    const fields = new Map<string, string>();
    for (const { key, value } of alias.value.entries) {
      if (value.kind === 'scalar' && typeof value.value === 'string') fields.set(key, value.value);
      else report('value_invalid', value.at, `alias '${alias.key}' must name a field for '${key}'`);
    }
    aliases.set(alias.key, fields);
  }
  return aliases;
}

/* ---- counts, sums, averages, percentiles, shares ---- */

function readMeasure(listed: readonly Reference[], extensions: CorrelationExtensions, reading: Reading): Asked {
  const { correlation, report, type } = reading;
  const entry = entryOf(correlation, 'condition');
  const empty: Asked = {
    type,
    bounds: [],
    percentile: null,
    temporal: null,
    ordered: [],
    until: [],
    references: listed,
    fields: [],
  };
  if (entry?.value.kind !== 'map') {
    report('key_missing', entry?.keyAt ?? correlation.at, `${type} needs a 'condition' such as {gte: 5}`);
    return empty;
  }
  const condition = entry.value;
  const bounds = readBounds(condition, reading);
  const fields = readMeasuredFields(condition, reading);
  const rank = readRank(condition, bounds, reading);
  const isRarity = type === 'value_rarity' || rank === 'share';
  const asked: Asked = {
    ...empty,
    type: isRarity ? 'value_rarity' : type,
    percentile: typeof rank === 'number' ? rank : null,
    bounds: canonicalBounds(bounds, type === 'event_count' || type === 'value_count'),
    fields,
  };
  if (bounds.length > 0) checkBounds(asked, condition.at, extensions, reading);
  return asked;
}

function readBounds(condition: YamlMap, { report, type }: Reading): readonly Bound[] {
  const bounds: Bound[] = [];
  const isCount = type === 'event_count' || type === 'value_count';
  for (const { key, keyAt, value } of condition.entries) {
    const relation = BOUND_RELATIONS.find((known) => known === key);
    if (relation) {
      const number = value.kind === 'scalar' && typeof value.value === 'number' ? value.value : Number.NaN;
      if (isCount && (!Number.isInteger(number) || number < 0)) {
        report('value_invalid', value.at, `'${key}' takes a whole number`);
      } else if (!Number.isFinite(number)) report('value_invalid', value.at, `'${key}' takes a number`);
      else bounds.push({ relation, value: number });
    } else if (key !== 'field' && key !== 'percentile') {
      report('key_unknown', keyAt, `a condition has no key '${key}'`);
    }
  }
  if (!condition.entries.some(({ key }) => (BOUND_RELATIONS as readonly string[]).includes(key))) {
    report('key_missing', condition.at, `a condition needs one of ${BOUND_RELATIONS.join(', ')}`);
  }
  return bounds;
}

function checkBounds(asked: Asked, at: Position, extensions: CorrelationExtensions, reading: Reading): void {
  const { report, limits } = reading;
  const { type, bounds } = asked;
  const isCount = type === 'event_count' || type === 'value_count';
  const isExpecting = extensions.expect.length > 0;
  if (
    isExpecting &&
    (type !== 'event_count' || bounds.some(({ relation }) => !['lt', 'lte', 'eq'].includes(relation)))
  ) {
    report('value_invalid', extensions.at, "'expect' is for event_count with lt, lte or eq: groups that stay silent");
  }
  if (isExpecting && extensions.window.kind === 'session') {
    report('value_invalid', extensions.at, "'expect' needs tumbling windows: a silent group has no session");
  }
  for (const { relation, value } of bounds) {
    if (isCount && value > limits.countMax) report('limit_exceeded', at, `a bound is above ${limits.countMax}`);
    if ((isCount || type === 'value_sum') && relation === 'gte' && value <= 0) {
      report('value_invalid', at, "'gte: 0' is always true: the lowest bound is 'gt: 0'");
    }
  }
  if (!areSatisfiable(bounds, domainOf(type, isExpecting))) {
    const hint = isCount && !isExpecting ? '; a group exists from its first event on, silence needs x-corr.expect' : '';
    report('value_invalid', at, `no number meets these bounds${hint}`);
  }
}

function domainOf(type: CorrelationType, isExpecting: boolean): BoundDomain {
  if (type === 'event_count' || type === 'value_count') {
    return { lowest: isExpecting ? 0 : 1, highest: Number.POSITIVE_INFINITY, isWhole: true };
  }
  if (type === 'value_rarity') return { lowest: 0, highest: 100, isWhole: false };
  return { lowest: Number.NEGATIVE_INFINITY, highest: Number.POSITIVE_INFINITY, isWhole: false };
}

function readMeasuredFields(condition: YamlMap, reading: Reading): readonly string[] {
  const { report, type } = reading;
  const fields = readFields(condition, 'field', reading);
  const at = entryOf(condition, 'field')?.keyAt ?? condition.at;
  if (type === 'event_count') {
    if (fields.length > 0) report('key_unknown', at, "event_count takes no 'field'");
    return [];
  }
  const isTuple = type === 'value_count' || type === 'value_rarity' || type === 'value_percentile';
  if (fields.length === 0) report('key_missing', at, `${type} needs a 'field' in its condition`);
  else if (fields.length > 1 && !isTuple) report('value_invalid', at, `${type} takes one 'field'`);
  return fields;
}

/**
 * Rank of a percentile. Without one, upper bounds mean a share of the observed values, as the specification's own
 * example has it ("percentage of observed values"): that is rarity.
 */
function readRank(condition: YamlMap, bounds: readonly Bound[], reading: Reading): number | 'share' | null {
  const { report, warnings, type, isMedian } = reading;
  const entry = entryOf(condition, 'percentile');
  if (type !== 'value_percentile' || isMedian) {
    if (entry) report('key_unknown', entry.keyAt, `'percentile' is for value_percentile only`);
    return isMedian ? 50 : null;
  }
  if (entry) {
    const rank = scalarOf(entry);
    if (typeof rank === 'number' && rank >= 0 && rank <= 100) return rank;
    report('value_invalid', entry.value.at, "'percentile' is a rank from 0 to 100");
    return null;
  }
  const isShare = bounds.every(({ relation, value }) => ['lt', 'lte'].includes(relation) && value <= 100);
  if (isShare) {
    warnings.report(
      'key_missing',
      condition.at,
      "without 'percentile' this asks for values with a small share of all values; say 'type: value_rarity'",
    );
    return 'share';
  }
  report('key_missing', condition.at, "value_percentile needs the rank: 'percentile: 95' in its condition");
  return null;
}

/* ---- temporal and temporal_ordered ---- */

/** Steps in the making: texts as written, one step per rule or, in ordered rules, per mention. */
type StepList = { readonly references: Reference[]; readonly keys: string[] };

function readSteps(listed: readonly Reference[], extensions: CorrelationExtensions, reading: Reading): Asked {
  const steps: StepList = { references: [], keys: [] };
  const base = { type: reading.type, bounds: [], percentile: null, fields: [], references: steps.references };
  if (reading.type === 'temporal') {
    return { ...base, temporal: readTemporal(listed, steps, reading), ordered: [], until: [] };
  }
  const ordered = readOrdered(listed, steps, reading);
  const withRuns = applyRuns(ordered, steps, extensions, reading);
  const until = extensions.until.map((reference) => addStep(steps, reference, reading));
  return { ...base, temporal: null, ordered: withRuns, until };
}

function addStep(steps: StepList, reference: Reference, { canonical }: Reading): number {
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
  const ordered = mentions.map(({ reference, negated }): OrderedStep => {
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
