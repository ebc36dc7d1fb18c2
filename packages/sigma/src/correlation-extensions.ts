import type { OnMatch, WindowShape } from './correlation-definition.ts';
import { groupKeyOf } from './group-key.ts';
import type { RuleLimits } from './limits.ts';
import type { SigmaProblemCode } from './problems.ts';
import { readTimespan } from './timespan.ts';
import { entryOf, type Position, type YamlEntry, type YamlMap, type YamlNode } from './yaml-tree.ts';

export type Report = (code: SigmaProblemCode, at: Position, message: string) => void;
/** A rule as another names it. */
export type Reference = { readonly text: string; readonly at: Position };

/** `x-corr`: what Sigma has no word for. References are still names or ids. */
export type CorrelationExtensions = {
  readonly at: Position;
  readonly window: WindowShape;
  readonly gapMs: number | null;
  readonly runs: readonly { readonly rule: Reference; readonly count: number }[];
  readonly until: readonly Reference[];
  readonly strict: boolean;
  readonly reuse: boolean;
  readonly onMatch: OnMatch;
  readonly suppressMs: number | null;
  readonly nullGroup: boolean;
  readonly expect: readonly string[];
};

/** Keys that only say something of some types. */
const ORDERED_KEYS: readonly string[] = ['strict', 'runs', 'until'];
const TEMPORAL_KEYS: readonly string[] = ['reuse'];
const KEYS: readonly string[] = [
  ...ORDERED_KEYS,
  ...TEMPORAL_KEYS,
  'type',
  'window',
  'gap',
  'on_match',
  'suppress',
  'null_group',
  'expect',
];
const RUNS_MAX = 100;

export type ExtensionContext = {
  readonly type: string;
  readonly groupBy: readonly string[];
  readonly limits: RuleLimits;
  readonly report: Report;
};

/** `x-corr` stands in the correlation, or beside it. */
export function extensionsEntry(rule: YamlMap, correlation: YamlMap, report: Report): YamlEntry | undefined {
  const inside = entryOf(correlation, 'x-corr');
  const beside = entryOf(rule, 'x-corr');
  if (inside && beside) report('value_invalid', beside.keyAt, "give 'x-corr' once, inside 'correlation'");
  const entry = inside ?? beside;
  if (entry && entry.value.kind !== 'map') report('value_invalid', entry.keyAt, "'x-corr' must be a map");
  return entry;
}

/** Type given in `x-corr.type`; only `value_rarity` is not Sigma's own. */
export function extendedType(entry: YamlEntry | undefined, report: Report): string | null {
  const typeEntry = entry?.value.kind === 'map' ? entryOf(entry.value, 'type') : undefined;
  if (!typeEntry) return null;
  if (typeEntry.value.kind === 'scalar' && typeEntry.value.value === 'value_rarity') return 'value_rarity';
  report('value_invalid', typeEntry.value.at, "'x-corr.type' knows only value_rarity");
  return null;
}

export function readExtensions(entry: YamlEntry | undefined, context: ExtensionContext): CorrelationExtensions {
  const map: YamlMap =
    entry?.value.kind === 'map' ? entry.value : { kind: 'map', at: { line: 1, column: 1 }, entries: [] };
  const { report, type } = context;
  for (const { key, keyAt } of map.entries) {
    if (!KEYS.includes(key)) report('key_unknown', keyAt, `'x-corr' has no key '${key}': it has ${KEYS.join(', ')}`);
    const isOrdered = type === 'temporal_ordered';
    const isMisplaced =
      (ORDERED_KEYS.includes(key) && !isOrdered) || (TEMPORAL_KEYS.includes(key) && !isOrdered && type !== 'temporal');
    if (isMisplaced) report('unsupported', keyAt, `'x-corr.${key}' says nothing of ${type}`);
  }
  const gapMs = readDuration(map, 'gap', context);
  const window = readWindow(map, gapMs, report);
  const onMatch = readChoice(map, 'on_match', ['suppress', 'reset', 'every'] as const, report) ?? 'suppress';
  const suppressMs = readDuration(map, 'suppress', context);
  if (suppressMs !== null && onMatch !== 'suppress') {
    report('value_invalid', keyAtOf(map, 'suppress'), `'suppress' says nothing with 'on_match: ${onMatch}'`);
  }
  if (gapMs !== null && window.kind !== 'session' && type !== 'temporal_ordered') {
    report('value_invalid', keyAtOf(map, 'gap'), "'gap' needs 'window: session', or a temporal_ordered rule");
  }
  return {
    at: entry?.keyAt ?? map.at,
    window,
    gapMs: window.kind === 'session' ? null : gapMs,
    runs: readRuns(map, report),
    until: readReferences(map, 'until', report),
    strict: readFlag(map, 'strict', report),
    reuse: readFlag(map, 'reuse', report),
    onMatch,
    suppressMs,
    nullGroup: readFlag(map, 'null_group', report),
    expect: readExpect(map, context),
  };
}

function keyAtOf(map: YamlMap, key: string): Position {
  return entryOf(map, key)?.keyAt ?? map.at;
}

function readWindow(map: YamlMap, gapMs: number | null, report: Report): WindowShape {
  const kind = readChoice(map, 'window', ['sliding', 'tumbling', 'session'] as const, report) ?? 'sliding';
  if (kind !== 'session') return { kind };
  if (gapMs === null) report('key_missing', keyAtOf(map, 'window'), "'window: session' needs a 'gap' such as 5m");
  return { kind, gapMs: gapMs ?? 0 };
}

function readDuration(map: YamlMap, key: string, { report, limits }: ExtensionContext): number | null {
  const entry = entryOf(map, key);
  if (!entry) return null;
  const spanMs = readTimespan(entry.value, key);
  if (typeof spanMs === 'number') {
    if (spanMs <= limits.timespanMsMax) return spanMs;
    report('limit_exceeded', entry.value.at, `'${key}' is longer than ${limits.timespanMsMax / 86_400_000} days`);
    return null;
  }
  report('value_invalid', entry.value.at, spanMs.reason);
  return null;
}

function readChoice<Choice extends string>(
  map: YamlMap,
  key: string,
  choices: readonly Choice[],
  report: Report,
): Choice | null {
  const entry = entryOf(map, key);
  if (!entry) return null;
  const value = entry.value.kind === 'scalar' ? entry.value.value : null;
  const choice = choices.find((known) => known === value);
  if (choice === undefined) report('value_invalid', entry.value.at, `'${key}' must be one of ${choices.join(', ')}`);
  return choice ?? null;
}

/** True or false; absent is false. */
export function readFlag(map: YamlMap, key: string, report: Report): boolean {
  const entry = entryOf(map, key);
  if (!entry) return false;
  if (entry.value.kind === 'scalar' && typeof entry.value.value === 'boolean') return entry.value.value;
  report('value_invalid', entry.value.at, `'${key}' must be true or false`);
  return false;
}

function readReferences(map: YamlMap, key: string, report: Report): readonly Reference[] {
  const entry = entryOf(map, key);
  if (!entry) return [];
  const references: Reference[] = [];
  for (const node of entry.value.kind === 'list' ? entry.value.items : [entry.value]) {
    if (node.kind === 'scalar' && node.value !== null) references.push({ text: String(node.value), at: node.at });
    else report('value_invalid', node.at, `'${key}' names a rule, or a list of rules`);
  }
  return references;
}

function readRuns(map: YamlMap, report: Report): CorrelationExtensions['runs'] {
  const entry = entryOf(map, 'runs');
  if (!entry) return [];
  if (entry.value.kind !== 'map') {
    report('value_invalid', entry.keyAt, "'runs' must map rules to numbers: {failed_login: 5}");
    return [];
  }
  return entry.value.entries.flatMap(({ key, keyAt, value }) => {
    const count = value.kind === 'scalar' ? value.value : null;
    if (typeof count === 'number' && Number.isInteger(count) && count >= 1 && count <= RUNS_MAX) {
      return [{ rule: { text: key, at: keyAt }, count }];
    }
    report('value_invalid', value.at, `'runs' takes whole numbers from 1 to ${RUNS_MAX}`);
    return [];
  });
}

/** Expected groups as group keys: a value each, or with several `group-by` fields a list or a map of values. */
function readExpect(map: YamlMap, { groupBy, limits, report }: ExtensionContext): readonly string[] {
  const entry = entryOf(map, 'expect');
  if (!entry) return [];
  const isSingle = entry.value.kind === 'scalar' && entry.value.value === true && groupBy.length === 0;
  if (isSingle) return [groupKeyOf([])];
  if (entry.value.kind !== 'list' || entry.value.items.length === 0) {
    report('value_invalid', entry.keyAt, "'expect' lists the groups that are due; 'true' for a rule without group-by");
    return [];
  }
  if (entry.value.items.length > limits.expectMax) {
    report('limit_exceeded', entry.keyAt, `'expect' lists more than ${limits.expectMax} groups`);
    return [];
  }
  const keys = entry.value.items.map((item) => expectedKey(item, groupBy, report));
  return [...new Set(keys.filter((key) => key !== undefined))].sort();
}

function expectedKey(node: YamlNode, groupBy: readonly string[], report: Report): string | undefined {
  const nodes =
    node.kind === 'map'
      ? groupBy.map((field) => entryOf(node, field)?.value)
      : node.kind === 'list'
        ? node.items
        : [node];
  const values = nodes.flatMap((value) => (value?.kind === 'scalar' && value.value !== null ? [value.value] : []));
  const isKnown = node.kind !== 'map' || node.entries.every(({ key }) => groupBy.includes(key));
  if (isKnown && nodes.length === groupBy.length && values.length === groupBy.length) return groupKeyOf(values);
  report('value_invalid', node.at, `a group of 'expect' needs a value for each of: ${groupBy.join(', ') || 'nothing'}`);
  return undefined;
}
