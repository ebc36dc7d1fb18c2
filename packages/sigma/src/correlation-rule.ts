import type { SigmaProblemCode } from './problems.ts';
import { entryOf, type Position, type ProblemSink, textEntry, textListEntry, type YamlMap } from './yaml-tree.ts';

/** Types this version runs. All three are monotone: more events can only make them true (EXACTNESS X10). */
export type CorrelationType = 'event_count' | 'value_count' | 'temporal_ordered';

/** A `correlation` part as written: references are still names or ids. */
export type CorrelationSource = {
  readonly type: CorrelationType;
  readonly references: readonly { readonly text: string; readonly at: Position }[];
  readonly groupBy: readonly string[];
  /** Alias name to the field it stands for in each referenced rule. */
  readonly aliases: ReadonlyMap<string, ReadonlyMap<string, string>>;
  readonly timespanMs: number;
  /** event_count: events; value_count: distinct values; temporal_ordered: steps. */
  readonly threshold: number;
  /** value_count only: the fields whose distinct tuples count. */
  readonly fields: readonly string[];
  /** `x-corr.strict`: neighbouring steps need growing times, ties do not count (EXACTNESS X2). */
  readonly strict: boolean;
  readonly generate: boolean;
};

const SUPPORTED: readonly CorrelationType[] = ['event_count', 'value_count', 'temporal_ordered'];
const KNOWN_UNSUPPORTED: readonly string[] = ['temporal', 'value_sum', 'value_avg', 'value_percentile', 'value_median'];
const KEYS: readonly string[] = ['type', 'rules', 'group-by', 'aliases', 'timespan', 'condition', 'generate', 'x-corr'];
const UNIT_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };
/** Longest window (research/correlation.md 2.3): state and the log must be kept as long. */
const TIMESPAN_DAYS_MAX = 30;
/** Twice this many events are kept per group and window (EXACTNESS X10.15). */
const THRESHOLD_MAX = 10_000;
/** Steps of an ordered rule. */
const STEPS_MAX = 10;
const GROUP_FIELDS_MAX = 8;

/** Reads the `correlation` part of a rule. Undefined when it cannot be run; the reasons are then reported. */
export function parseCorrelation(
  rule: YamlMap,
  correlation: YamlMap,
  problems: ProblemSink,
): CorrelationSource | undefined {
  let sound = true;
  const report = (code: SigmaProblemCode, at: Position, message: string): void => {
    sound = false;
    problems.report(code, at, message);
  };
  const type = textEntry(correlation, 'type', problems) ?? '';
  if (KNOWN_UNSUPPORTED.includes(type)) {
    report('unsupported', correlation.at, `correlation type '${type}' is not supported yet`);
    return undefined;
  }
  const known = SUPPORTED.find((supported) => supported === type);
  if (!known) {
    report('value_invalid', correlation.at, `'type' must be one of ${SUPPORTED.join(', ')}`);
    return undefined;
  }
  for (const entry of correlation.entries) {
    if (!KEYS.includes(entry.key)) report('key_unknown', entry.keyAt, `a correlation has no key '${entry.key}'`);
  }
  const references = textListEntry(correlation, 'rules', problems);
  if (references.length === 0) report('key_missing', correlation.at, "'rules' must name at least one rule");
  const groupBy = textListEntry(correlation, 'group-by', problems).map(({ text }) => text);
  if (groupBy.length > GROUP_FIELDS_MAX) {
    report('limit_exceeded', correlation.at, `'group-by' takes at most ${GROUP_FIELDS_MAX} fields`);
  }
  if (new Set(groupBy).size !== groupBy.length)
    report('value_invalid', correlation.at, "'group-by' names a field twice");
  const timespanMs = readTimespan(correlation, report);
  const condition = readCondition(known, correlation, references.length, report);
  const aliases = readAliases(correlation, report);
  const strict = readStrict(known, correlation, report);
  if (!sound) return undefined;
  return {
    type: known,
    references,
    groupBy,
    aliases,
    timespanMs,
    threshold: condition.threshold,
    fields: condition.fields,
    strict,
    generate: readFlag(rule, 'generate') || readFlag(correlation, 'generate'),
  };
}

type Report = (code: SigmaProblemCode, at: Position, message: string) => void;

function readFlag(map: YamlMap, key: string): boolean {
  const value = entryOf(map, key)?.value;
  return value?.kind === 'scalar' && value.value === true;
}

function readTimespan(correlation: YamlMap, report: Report): number {
  const entry = entryOf(correlation, 'timespan');
  const text = entry?.value.kind === 'scalar' ? String(entry.value.value) : '';
  const at = entry?.value.at ?? correlation.at;
  const parts = /^(\d{1,9})([smhdw])$/.exec(text);
  if (/^\d+[My]$/.test(text)) {
    report('unsupported', at, 'months and years have no fixed length: use days or weeks');
    return 0;
  }
  const timespanMs = Number(parts?.[1] ?? 0) * (UNIT_MS[parts?.[2] ?? ''] ?? 0);
  if (timespanMs <= 0) report('value_invalid', at, "'timespan' must be a number and a unit: 30s, 15m, 1h, 7d, 2w");
  if (timespanMs > TIMESPAN_DAYS_MAX * 86_400_000) {
    report('limit_exceeded', at, `'timespan' is longer than ${TIMESPAN_DAYS_MAX} days`);
  }
  return timespanMs;
}

function readCondition(
  type: CorrelationType,
  correlation: YamlMap,
  steps: number,
  report: Report,
): { threshold: number; fields: readonly string[] } {
  const entry = entryOf(correlation, 'condition');
  if (type === 'temporal_ordered') {
    if (entry)
      report(
        'unsupported',
        entry.keyAt,
        'temporal_ordered with a condition is not supported yet: all steps must happen',
      );
    if (steps < 2) report('value_invalid', correlation.at, 'temporal_ordered needs at least two rules');
    if (steps > STEPS_MAX)
      report('limit_exceeded', correlation.at, `temporal_ordered takes at most ${STEPS_MAX} rules`);
    return { threshold: steps, fields: [] };
  }
  if (entry?.value.kind !== 'map') {
    report('key_missing', entry?.keyAt ?? correlation.at, `${type} needs a 'condition' such as {gte: 5}`);
    return { threshold: 0, fields: [] };
  }
  const condition = entry.value;
  let threshold = 0;
  for (const { key, keyAt, value } of condition.entries) {
    if (key === 'gte' || key === 'gt') {
      if (threshold !== 0) report('value_invalid', keyAt, "give either 'gt' or 'gte'");
      const number = value.kind === 'scalar' && typeof value.value === 'number' ? value.value : Number.NaN;
      threshold = key === 'gt' ? number + 1 : number;
      if (!Number.isInteger(number) || threshold < 1)
        report('value_invalid', value.at, `'${key}' takes a whole number`);
      else if (threshold > THRESHOLD_MAX) report('limit_exceeded', value.at, `the threshold is above ${THRESHOLD_MAX}`);
    } else if (['lt', 'lte', 'eq', 'neq'].includes(key)) {
      report(
        'unsupported',
        keyAt,
        `'${key}' is decided when a window has passed, which is not supported yet: use gt or gte`,
      );
    } else if (key !== 'field') {
      report('key_unknown', keyAt, `a condition has no key '${key}'`);
    }
  }
  if (threshold === 0) report('key_missing', condition.at, "a condition needs 'gte' or 'gt'");
  const ignore = {
    path: '',
    report: (_code: SigmaProblemCode, at: Position, text: string) => report('value_invalid', at, text),
  };
  const fields = textListEntry(condition, 'field', ignore).map(({ text }) => text);
  if (type === 'value_count' && fields.length === 0) {
    report('key_missing', condition.at, "value_count needs 'field': whose distinct values count");
  }
  if (type === 'event_count' && fields.length > 0) report('key_unknown', condition.at, "event_count takes no 'field'");
  return { threshold, fields };
}

function readAliases(correlation: YamlMap, report: Report): ReadonlyMap<string, ReadonlyMap<string, string>> {
  const entry = entryOf(correlation, 'aliases');
  const aliases = new Map<string, ReadonlyMap<string, string>>();
  if (!entry) return aliases;
  if (entry.value.kind !== 'map') report('value_invalid', entry.keyAt, "'aliases' must be a map");
  else {
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
  }
  return aliases;
}

function readStrict(type: CorrelationType, correlation: YamlMap, report: Report): boolean {
  const entry = entryOf(correlation, 'x-corr');
  if (!entry) return false;
  if (entry.value.kind !== 'map') {
    report('value_invalid', entry.keyAt, "'x-corr' must be a map");
    return false;
  }
  for (const { key, keyAt } of entry.value.entries) {
    if (key !== 'strict' || type !== 'temporal_ordered') {
      report('unsupported', keyAt, `'x-corr.${key}' is not supported for ${type} yet`);
    }
  }
  return readFlag(entry.value, 'strict');
}
