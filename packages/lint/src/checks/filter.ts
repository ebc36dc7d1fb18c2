import type { Check } from '../check.ts';
import { selectionImplies } from '../implication.ts';
import { labelOf, type RuleDocument } from '../rule-document.ts';
import type { RuleIndex } from '../rule-index.ts';
import { entry, mapAt, scalarsAt, textAt, textsAt } from '../yaml-read.ts';

function targetsOf(rule: RuleDocument, index: RuleIndex): readonly RuleDocument[] {
  return textsAt(mapAt(rule.map, 'filter'), 'rules')
    .map((reference) => index.named(reference))
    .filter((target) => target !== undefined);
}

/** `custom` is where `rules apply` and `rules health` read it; `x-owner` and `x-expires` are what older filters have. */
function answered(rule: RuleDocument, key: 'owner' | 'expires'): string | undefined {
  return textAt(mapAt(rule.map, 'custom'), key) ?? textAt(rule.map, `x-${key}`);
}

/** Filters that hide matches: who may do so, for how long, and whether anything is left. */
export const FILTER_CHECKS: readonly Check[] = [
  {
    code: 'filter-owner-missing',
    area: 'filter',
    level: 'warning',
    doc: 'A filter hides alerts, so someone must answer for it. Name the owner under `custom: {owner: …}`.',
    run: (rule, { report }) => {
      if (rule.kind === 'filter' && answered(rule, 'owner') === undefined)
        report(rule.at, 'the filter has no owner: write custom: {owner: …}');
    },
  },
  {
    code: 'filter-expiry-missing',
    area: 'filter',
    level: 'warning',
    doc: 'Filters outlive the reason for which they were written. Say with `custom: {expires: YYYY-MM-DD}` when to look at it again.',
    run: (rule, { report }) => {
      if (rule.kind === 'filter' && answered(rule, 'expires') === undefined)
        report(rule.at, 'the filter has no end: write custom: {expires: YYYY-MM-DD}');
    },
  },
  {
    code: 'filter-expired',
    area: 'filter',
    level: 'warning',
    doc: 'The date under `custom.expires` has passed. Take the filter out, or look at it again and move the date.',
    run: (rule, { options, report }) => {
      const expires = answered(rule, 'expires');
      if (rule.kind === 'filter' && expires !== undefined && options.today !== undefined && expires < options.today)
        report(
          (entry(rule.map, 'custom') ?? entry(rule.map, 'x-expires'))?.keyAt ?? rule.at,
          `the filter expired on ${expires}`,
        );
    },
  },
  {
    code: 'filter-hides-rule',
    area: 'filter',
    level: 'error',
    doc: 'A selection of the filter holds whenever a selection of the rule does, so the filter hides every match. Make it narrower, or switch the rule off openly.',
    run: (rule, { index, report }) => {
      if (rule.kind !== 'filter') return;
      for (const target of targetsOf(rule, index)) {
        const hidden = rule.detection?.selections.find((filter) =>
          target.detection?.selections.some((selection) => selectionImplies(selection, filter)),
        );
        if (hidden) report(hidden.at, `'${hidden.name}' hides everything '${labelOf(target)}' matches`);
      }
    },
  },
  {
    code: 'filter-any-rule',
    area: 'filter',
    level: 'warning',
    doc: 'The filter applies to any rule of its log source, those written later too. Name the rules.',
    run: (rule, { report }) => {
      const filter = rule.kind === 'filter' ? mapAt(rule.map, 'filter') : undefined;
      const isAny = scalarsAt(filter, 'rules').some(({ value }) => value === 'any');
      if (filter && (isAny || scalarsAt(filter, 'rules').length === 0))
        report(filter.at, 'the filter hides matches of every rule: name the rules');
    },
  },
  {
    code: 'filter-rule-unknown',
    area: 'filter',
    level: 'error',
    doc: 'The filter names a rule that is not in the set, so it has no effect. The rule was renamed or taken out.',
    run: (rule, { index, report }) => {
      if (rule.kind !== 'filter') return;
      for (const { value, at } of scalarsAt(mapAt(rule.map, 'filter'), 'rules'))
        if (value !== 'any' && !index.named(String(value))) report(at, `no rule has the id or name '${value}'`);
    },
  },
];
