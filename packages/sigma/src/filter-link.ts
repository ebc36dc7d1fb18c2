import type { ParsedDetection, RuleHead } from './rule-document.ts';
import { filterCovers, type ParsedFilter, withExclusion } from './rule-filter.ts';
import type { NamedRule, RuleNames } from './rule-names.ts';
import type { Test } from './test-tree.ts';

export type FilterRule = RuleHead & ParsedFilter;

/** Sum of the sizes of all exclusions put in: bounds what a filter of all rules costs in a large set. */
const EXCLUSIONS_MAX = 5_000_000;

/**
 * Tests of the detections with the filters put in, in the order of the filters. A filter that names a rule that is
 * not there, or of another log source, has no effect on it: that is a warning, as filters are shared between sets.
 */
export function applyFilters(
  filters: readonly FilterRule[],
  rules: readonly NamedRule[],
  names: RuleNames,
): ReadonlyMap<ParsedDetection, Test> {
  const tests = new Map<ParsedDetection, Test>();
  for (const rule of rules) if (rule.kind === 'detection' && rule.test) tests.set(rule, rule.test);
  let spent = 0;
  for (const filter of filters) {
    const { exclusion } = filter;
    if (!exclusion || filter.sink.hasFailed) continue;
    const targets = targetsOf(filter, rules, names);
    spent += sizeOf(exclusion) * targets.length;
    if (spent > EXCLUSIONS_MAX) {
      filter.sink.report('limit_exceeded', filter.at, 'the filters are too large for so many rules: name fewer rules');
      return tests;
    }
    for (const target of targets) {
      const test = tests.get(target);
      if (test) tests.set(target, withExclusion(test, exclusion));
    }
  }
  return tests;
}

function targetsOf(filter: FilterRule, rules: readonly NamedRule[], names: RuleNames): readonly ParsedDetection[] {
  if (filter.targets === null) {
    return rules
      .filter((rule) => rule.kind === 'detection')
      .filter((rule) => filterCovers(filter.logSource, rule.logSource));
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
      } else if (!filterCovers(filter.logSource, rule.logSource)) {
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
