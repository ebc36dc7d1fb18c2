import { type DetectionOptions, parseConditions } from './detection.ts';
import type { LogSource } from './field-view.ts';
import type { Test } from './test-tree.ts';
import { entryOf, type Position, type ProblemSink, textListEntry, type YamlMap } from './yaml-tree.ts';

/** A Sigma filter (Sigma 2.1, "Filters"): an exclusion put into other rules before they are compiled. */
export type ParsedFilter = {
  readonly kind: 'filter';
  readonly logSource: LogSource | null;
  /** Rules by id or name; null for every rule of the log source. */
  readonly targets: readonly { readonly text: string; readonly at: Position }[] | null;
  /** What each rule is joined with by AND. */
  readonly exclusion: Test | undefined;
  /** The same, as pipelines make it for a rule of that log source. */
  exclusionFor(logSource: LogSource): Test | undefined;
};

export type FilterOptions = Omit<DetectionOptions, 'rewrite'> & {
  readonly logSource: LogSource | null;
  /** What pipelines make of the filter when it is put into a rule of that log source. */
  readonly rewriteFor: ((logSource: LogSource | null) => DetectionOptions['rewrite']) | undefined;
};

/** Reads the `filter` part. What cannot be run is reported; the exclusion is then undefined. */
export function parseFilter(
  filter: YamlMap,
  problems: ProblemSink,
  { logSource, rewriteFor, ...options }: FilterOptions,
): ParsedFilter {
  const listed = textListEntry(filter, 'rules', problems);
  const isAny = listed.length === 0 || (listed.length === 1 && listed[0]?.text.toLowerCase() === 'any');
  if (isAny && !namesSomething(logSource)) {
    const at = entryOf(filter, 'rules')?.keyAt ?? filter.at;
    problems.report('key_missing', at, "a filter of all rules needs a 'logsource'; or list ids or names in 'rules'");
  }
  const read = (source: LogSource | null): Test | undefined => {
    const rewrite = rewriteFor?.(source);
    const owner = { owner: 'filter', besides: ['condition', 'rules'] };
    const parsed = parseConditions(filter, problems, { ...options, rewrite, ...owner });
    return parsed && exclusionOf(parsed);
  };
  const exclusion = read(logSource);
  const bySource = new Map<string, Test | undefined>();
  const exclusionFor = (source: LogSource): Test | undefined => {
    const key = JSON.stringify([source.product, source.service, source.category]);
    if (!bySource.has(key)) bySource.set(key, read(source));
    return bySource.get(key);
  };
  const targets = isAny ? null : listed;
  return { kind: 'filter', logSource, targets, exclusion, exclusionFor: rewriteFor ? exclusionFor : () => exclusion };
}

function namesSomething(logSource: LogSource | null): boolean {
  return logSource !== null && Object.values(logSource).some((value) => value !== null);
}

/**
 * The condition says what to leave out. pySigma instead joins it by AND as it stands, and its filters are written
 * `not selection`. Both mean an exclusion, and no filter means "only what I name", so a condition that is
 * negative as a whole is not negated again.
 */
function exclusionOf({ test, isExclusion }: { test: Test; isExclusion: boolean }): Test {
  return isExclusion ? test : { op: 'not', of: test };
}

/** Does the filter's log source hold the rule's? What the filter leaves out may be anything. */
export function filterCovers(filter: LogSource | null, rule: LogSource): boolean {
  if (filter === null) return true;
  const agrees = (wanted: string | null, found: string | null): boolean =>
    wanted === null || (found !== null && wanted.toLowerCase() === found.toLowerCase());
  return (
    agrees(filter.product, rule.product) &&
    agrees(filter.service, rule.service) &&
    agrees(filter.category, rule.category)
  );
}

/** The rule's test with the filters put in, in their order. */
export function withExclusions(test: Test, exclusions: readonly Test[]): Test {
  if (exclusions.length === 0) return test;
  return { op: 'and', of: [...(test.op === 'and' ? test.of : [test]), ...exclusions] };
}
