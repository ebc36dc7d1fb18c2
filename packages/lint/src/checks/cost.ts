import type { Check } from '../check.ts';
import { type ItemSketch, itemsOf } from '../detection-sketch.ts';
import type { RuleDocument } from '../rule-document.ts';

/** Values of one rule above which each event costs noticeably more. Public rules stay below 300. */
const VALUES_MAX = 500;

const ANYWHERE: readonly string[] = ['contains', 'endswith', 're'];

/** Can an index find the candidates of this item: does it fix how the value begins? */
function isFixed(item: ItemSketch): boolean {
  if (
    item.field === '' ||
    item.modifiers.some((name) => ANYWHERE.includes(name) || name === 'neq' || name === 'exists')
  )
    return false;
  return item.values.every(({ value }) => value !== null && !/^[*?]/.test(String(value)));
}

function countOf({ detection }: RuleDocument): number {
  if (!detection) return 0;
  const keywords = detection.selections.reduce((sum, selection) => sum + selection.keywords.length, 0);
  return keywords + itemsOf(detection).reduce((sum, item) => sum + item.values.length, 0);
}

export const COST_CHECKS: readonly Check[] = [
  {
    code: 'cost-keywords-only',
    area: 'cost',
    level: 'warning',
    doc: 'The rule consists of keywords, which are searched in every value of every event of the log source, and match wherever they stand. Name the fields.',
    run: (rule, { report }) => {
      const selections = rule.detection?.selections ?? [];
      const hasFields = selections.some(({ alternatives }) => alternatives.length > 0);
      if (rule.kind === 'detection' && selections.length > 0 && !hasFields)
        report(selections[0]?.at ?? rule.at, 'keywords are searched in every field: name the fields');
    },
  },
  {
    code: 'cost-keyword-short',
    area: 'cost',
    level: 'warning',
    doc: 'A keyword of one to three letters is found in ids, hashes and addresses of harmless events.',
    run: ({ detection }, { report }) => {
      for (const { keywords } of detection?.selections ?? [])
        for (const { value, at } of keywords)
          if (/^[\w]{1,3}$/.test(String(value))) report(at, `'${value}' is found by chance in many events`);
    },
  },
  {
    code: 'cost-no-index',
    area: 'cost',
    level: 'info',
    doc: 'Every test of the rule looks inside or at the end of a text (`contains`, `endswith`, a leading `*`), and the log source is wide. An exact value, such as the event type, lets the matcher skip the rule for most events.',
    run: (rule, { report }) => {
      const items = rule.detection ? itemsOf(rule.detection) : [];
      const isWide = rule.logSource.service === null && rule.logSource.category === null;
      if (rule.kind === 'detection' && isWide && items.length > 0 && !items.some(isFixed))
        report(rule.detection?.at ?? rule.at, 'no exact value narrows down the events this is tried on');
    },
  },
  {
    code: 'cost-regex-only',
    area: 'cost',
    level: 'warning',
    doc: 'All tests of the rule are regular expressions, so each event of the log source runs them. Put a plain value beside them that must hold too.',
    run: (rule, { report }) => {
      const items = rule.detection ? itemsOf(rule.detection) : [];
      if (items.length > 0 && items.every(({ modifiers }) => modifiers.includes('re')))
        report(items[0]?.at ?? rule.at, 'only regular expressions: add a plain value that must hold too');
    },
  },
  {
    code: 'cost-values',
    area: 'cost',
    level: 'warning',
    doc: `A rule with more than ${VALUES_MAX} values is slow to read, to load and to match. Lists of indicators belong in a look-up (\`expand\`).`,
    run: (rule, { report }) => {
      const count = countOf(rule);
      if (count > VALUES_MAX)
        report(rule.detection?.at ?? rule.at, `${count} values: at most ${VALUES_MAX} are reasonable`);
    },
  },
];
