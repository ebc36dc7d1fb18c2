import { areLowerOnly } from './bounds.ts';
import type { CorrelationDefinition, CorrelationType } from './correlation-definition.ts';
import {
  extendedType,
  extensionsEntry,
  type Reference,
  type Report,
  readExtensions,
  readFlag,
} from './correlation-extensions.ts';
import { readMeasure } from './correlation-measure.ts';
import { type CorrelationContext, type Reading, readFields, scalarOf } from './correlation-reading.ts';
import { readSteps } from './correlation-steps.ts';
import { hasNegation } from './step-expression.ts';
import { readTimespan } from './timespan.ts';
import { entryOf, type ProblemSink, textEntry, textListEntry, type YamlEntry, type YamlMap } from './yaml-tree.ts';

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
  const { correlation, report, limits } = reading;
  const extensions = readExtensions(extensionsAt, { type: reading.type, groupBy, limits, report });
  const isTemporal = reading.type === 'temporal' || reading.type === 'temporal_ordered';
  const listed = readListed(isTemporal, reading);
  const hasCondition = typeof scalarOf(entryOf(correlation, 'condition')) === 'string';
  if (listed.length === 0 && !(isTemporal && hasCondition)) {
    report(
      'key_missing',
      entryOf(correlation, 'rules')?.keyAt ?? correlation.at,
      "'rules' must name at least one rule",
    );
  }
  const asked = isTemporal ? readSteps(listed, extensions, reading) : readMeasure(listed, extensions, reading);
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

/** The rules listed, cut where there are too many, so that what follows stays cheap. */
function readListed(
  isTemporal: boolean,
  { limits, report, correlation, type, problems }: Reading,
): readonly Reference[] {
  const listed = textListEntry(correlation, 'rules', { path: problems.path, report });
  const most = isTemporal ? limits.stepsMax : limits.referencesMax;
  if (listed.length <= most) return listed;
  report(
    'limit_exceeded',
    entryOf(correlation, 'rules')?.keyAt ?? correlation.at,
    `${type} takes at most ${most} rules`,
  );
  return listed.slice(0, most);
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
