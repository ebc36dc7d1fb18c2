import type { Answered, ParsedDetection } from './rule-document.ts';
import { filterCovers, type ParsedFilter, withExclusions } from './rule-filter.ts';
import type { NamedRule, RuleNames } from './rule-names.ts';
import type { Test } from './test-tree.ts';

export type FilterRule = Answered & ParsedFilter;

/** Tests of the detections with the filters put in, and the detections that each filter reaches. */
export type Filtered = {
  readonly tests: ReadonlyMap<ParsedDetection, Test>;
  readonly reached: ReadonlyMap<FilterRule, readonly ParsedDetection[]>;
};

/** Sum of the sizes of all exclusions put in, and of the rules looked at: what filters of a large set may cost. */
const EXCLUSIONS_MAX = 5_000_000;

/**
 * Tests of the detections with the filters put in, in the order of the filters. A filter that names a rule that is
 * not there, or of another log source, has no effect on it: that is a warning, as filters are shared between sets.
 */
export function applyFilters(filters: readonly FilterRule[], rules: readonly NamedRule[], names: RuleNames): Filtered {
  const exclusions = new Map<ParsedDetection, Test[]>();
  const reached = new Map<FilterRule, ParsedDetection[]>();
  let spent = 0;
  for (const filter of filters) {
    const { exclusion } = filter;
    if (!exclusion || filter.sink.hasFailed) continue;
    if (filter.targets === null) spent += rules.length;
    const targets = spent > EXCLUSIONS_MAX ? [] : targetsOf(filter, rules, names);
    spent += sizeOf(exclusion) * targets.length;
    if (spent > EXCLUSIONS_MAX) {
      filter.sink.report('limit_exceeded', filter.at, 'the filters are too large for so many rules: name fewer rules');
      break;
    }
    const own: ParsedDetection[] = [];
    reached.set(filter, own);
    for (const target of targets) {
      const known = exclusions.get(target);
      const made = filter.exclusionFor(target.logSourceWritten);
      if (!made) continue;
      own.push(target);
      if (known) known.push(made);
      else exclusions.set(target, [made]);
    }
  }
  const detections = rules.filter((rule) => rule.kind === 'detection');
  const tests = new Map(
    detections.flatMap((rule) => (rule.test ? [[rule, withExclusions(rule.test, exclusions.get(rule) ?? [])]] : [])),
  );
  return { tests, reached };
}

function targetsOf(filter: FilterRule, rules: readonly NamedRule[], names: RuleNames): readonly ParsedDetection[] {
  if (filter.targets === null) {
    return rules
      .filter((rule) => rule.kind === 'detection')
      .filter((rule) => filterCovers(filter.logSource, rule.logSourceWritten));
  }
  const targets = new Set<ParsedDetection>();
  for (const { text, at } of filter.targets) {
    const found = names.find(text);
    if (found.length === 0) {
      filter.warnings.report('reference_unknown', at, `there is no rule with the id or name '${text}' to filter`);
    }
    for (const rule of found) {
      if (rule.kind === 'correlation') {
        filter.warnings.report('reference_unknown', at, `'${text}' is a correlation: filter the rules it stands on`);
      } else if (!filterCovers(filter.logSource, rule.logSourceWritten)) {
        filter.warnings.report('reference_unknown', at, `'${text}' is of another log source: the filter has no effect`);
      } else targets.add(rule);
    }
  }
  return [...targets];
}

function sizeOf(test: Test): number {
  if (test.op === 'and' || test.op === 'or') return test.of.reduce((sum, part) => sum + sizeOf(part), 1);
  return test.op === 'not' ? 1 + sizeOf(test.of) : 1;
}
