import type { RuleException } from './compiled-rules.ts';
import type { FilterRule } from './filter-link.ts';
import type { Overridden } from './override-link.ts';
import type { ParsedDetection, RuleHead } from './rule-document.ts';

/** Filters and overrides in force, with the rules they reach; those with a problem are left out, as they have no effect. */
export function exceptionsOf(
  filters: readonly FilterRule[],
  reached: ReadonlyMap<FilterRule, readonly ParsedDetection[]>,
  overridden: readonly Overridden[],
): readonly RuleException[] {
  return [
    ...filters
      .filter(({ sink }) => !sink.hasFailed)
      .map((filter) => ({
        ...headOf(filter),
        ...{ kind: 'filter' as const, organization: null, ...filter.responsibility },
        rules: (reached.get(filter) ?? []).map(({ uid }) => uid),
      })),
    ...overridden.map(({ organization, base, override }) => ({
      ...headOf(override),
      ...{ kind: 'override' as const, organization, ...override.responsibility, rules: [base.uid] },
    })),
  ];
}

function headOf({ uid, description, path, at }: RuleHead): Pick<RuleException, 'uid' | 'title' | 'path' | 'line'> {
  return { uid, title: description.title, path, line: at.line };
}
