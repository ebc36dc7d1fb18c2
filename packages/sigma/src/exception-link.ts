import type { RuleException } from './compiled-rules.ts';
import type { FilterRule } from './filter-link.ts';
import type { Overridden } from './override-link.ts';
import type { ParsedDetection, RuleHead } from './rule-document.ts';
import type { Test } from './test-tree.ts';

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
        ...{ kind: 'filter' as const, organization: organizationOf(filter.exclusion), ...filter.responsibility },
        rules: (reached.get(filter) ?? []).map(({ uid }) => uid),
      })),
    ...overridden.map(({ organization, base, override }) => ({
      ...headOf(override),
      ...{ kind: 'override' as const, organization, ...override.responsibility, rules: [base.uid] },
    })),
  ];
}

/** Where the organization stands whose key an event came in under (contracts 4). */
const ORGANIZATION_FIELD = 'intake_org';

/** The organization that an event must be of to be left out; null where that is not asked, or not exactly. */
function organizationOf(exclusion: Test | undefined): string | null {
  if (exclusion?.op !== 'not') return null;
  const asked = exclusion.of.op === 'and' ? exclusion.of.of : [exclusion.of];
  for (const test of asked) {
    if (test.op !== 'text' || test.field !== ORGANIZATION_FIELD || test.anchor !== 'whole') continue;
    const [part, ...more] = test.parts;
    if (part?.kind !== 'text' || more.length > 0) continue;
    // Without `cased` other spellings are left out too, and they are other organizations.
    if (test.cased || part.text.toLowerCase() === part.text.toUpperCase()) return part.text;
  }
  return null;
}

function headOf({ uid, description, path, at }: RuleHead): Pick<RuleException, 'uid' | 'title' | 'path' | 'line'> {
  return { uid, title: description.title, path, line: at.line };
}
