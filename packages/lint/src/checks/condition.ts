import { type Condition, selectionsOf } from '@tracehound/sigma';
import type { Check, CheckContext } from '../check.ts';
import { type ConditionSketch, namesIn, partsOf } from '../detection-sketch.ts';

type Look = { readonly condition: ConditionSketch; readonly tree: Condition; readonly names: readonly string[] };

function onConditions(look: (found: Look, context: CheckContext) => void): NonNullable<Check['run']> {
  return ({ detection }, context) => {
    const names = detection?.selections.map(({ name }) => name) ?? [];
    for (const condition of detection?.conditions ?? [])
      if (condition.tree) look({ condition, tree: condition.tree, names }, context);
  };
}

/** Pairs of parentheses around a single name, or around everything. */
function hasRedundantParentheses(text: string): boolean {
  const isAroundName = /\(\s*[\w-]+\s*\)/.test(text);
  const trimmed = text.trim();
  if (isAroundName || !trimmed.startsWith('(')) return isAroundName;
  let depth = 0;
  for (let at = 0; at < trimmed.length; at++) {
    if (trimmed[at] === '(') depth++;
    if (trimmed[at] === ')') depth--;
    if (depth === 0) return at === trimmed.length - 1;
  }
  return false;
}

/** Is there, outside of parentheses or in one pair of them, both `and` and `or`? */
function mixesAndOr(text: string): boolean {
  const seen: Set<string>[] = [new Set()];
  for (const [token] of text.toLowerCase().matchAll(/[()]|[\w*-]+/g)) {
    if (token === '(') seen.push(new Set());
    else if (token === ')') seen.pop();
    else if (token === 'and' || token === 'or') {
      const level = seen.at(-1);
      level?.add(token);
      if (level?.size === 2) return true;
    }
  }
  return false;
}

export const CONDITION_CHECKS: readonly Check[] = [
  {
    code: 'condition-keyword-case',
    area: 'condition',
    level: 'warning',
    doc: 'Sigma writes `and`, `or`, `not`, `of` and `them` in lower case. We read any case, other engines refuse it.',
    run: onConditions(({ condition }, { report }) => {
      const word = /\b(AND|OR|NOT|And|Or|Not|OF|Of|THEM|Them|ALL(?= of)|ANY(?= of))\b/.exec(condition.text);
      if (word?.[0]) report(condition.at, `write '${word[0].toLowerCase()}' in lower case`);
    }),
  },
  {
    code: 'condition-redundant-parentheses',
    area: 'condition',
    level: 'info',
    doc: 'Parentheses around one name, or around the whole condition, change nothing.',
    run: onConditions(({ condition }, { report }) => {
      if (hasRedundantParentheses(condition.text)) report(condition.at, 'the parentheses change nothing');
    }),
  },
  {
    code: 'condition-mixed-and-or',
    area: 'condition',
    level: 'warning',
    doc: 'The condition mixes `and` and `or` without parentheses. `and` binds tighter, which readers and some engines get wrong. Add parentheses that say what is meant.',
    run: onConditions(({ condition }, { report }) => {
      if (mixesAndOr(condition.text)) report(condition.at, "'and' binds tighter than 'or': say so with parentheses");
    }),
  },
  {
    code: 'condition-double-not',
    area: 'condition',
    level: 'warning',
    doc: 'A negation of a negation is the selection itself. One `not` too many is a common slip.',
    run: onConditions(({ condition, tree }, { report }) => {
      if ([...partsOf(tree)].some((part) => part.kind === 'not' && part.of.kind === 'not'))
        report(condition.at, "'not not' cancels itself");
    }),
  },
  {
    code: 'condition-one-of-single',
    area: 'condition',
    level: 'info',
    doc: '`1 of x*` where only one selection has such a name. Name the selection, or check that its siblings are spelt as the pattern expects.',
    run: onConditions(({ condition, tree, names }, { report }) => {
      for (const part of partsOf(tree))
        if (
          part.kind === 'quantified' &&
          !part.all &&
          part.pattern !== 'them' &&
          selectionsOf(part.pattern, names).length === 1
        )
          report(condition.at, `only one selection is called '${part.pattern}': name it`);
    }),
  },
  {
    code: 'condition-all-of-single',
    area: 'condition',
    level: 'info',
    doc: '`all of x*` where only one selection has such a name. Name the selection, or check that its siblings are spelt as the pattern expects.',
    run: onConditions(({ condition, tree, names }, { report }) => {
      for (const part of partsOf(tree))
        if (
          part.kind === 'quantified' &&
          part.all &&
          part.pattern !== 'them' &&
          selectionsOf(part.pattern, names).length === 1
        )
          report(condition.at, `only one selection is called '${part.pattern}': name it`);
    }),
  },
  {
    code: 'condition-all-of-them',
    area: 'condition',
    level: 'info',
    doc: '`all of them` takes in every selection that is added later, filters too. A pattern such as `all of selection_*` says what is meant.',
    run: onConditions(({ condition, tree }, { report }) => {
      if ([...partsOf(tree)].some((part) => part.kind === 'quantified' && part.all && part.pattern === 'them'))
        report(condition.at, "'all of them' takes in selections added later: use 'all of selection_*'");
    }),
  },
  {
    code: 'condition-one-of-them',
    area: 'condition',
    level: 'info',
    doc: '`1 of them` turns every selection that is added later into an alternative, filters too. A pattern such as `1 of selection_*` says what is meant.',
    run: onConditions(({ condition, tree }, { report }) => {
      if ([...partsOf(tree)].some((part) => part.kind === 'quantified' && !part.all && part.pattern === 'them'))
        report(condition.at, "'1 of them' takes in selections added later: use '1 of selection_*'");
    }),
  },
  {
    code: 'condition-name-repeated',
    area: 'condition',
    level: 'info',
    doc: 'The condition names a selection twice under one `and` or `or`. Once is enough; another one may have been meant.',
    run: onConditions(({ condition, tree, names }, { report }) => {
      for (const part of partsOf(tree)) {
        if (part.kind !== 'and' && part.kind !== 'or') continue;
        const plain = part.of.flatMap((inner) => (inner.kind === 'selection' ? namesIn(inner, names) : []));
        const twice = plain.find((name, at) => plain.indexOf(name) !== at);
        if (twice !== undefined) report(condition.at, `'${twice}' is named twice`);
      }
    }),
  },
  {
    code: 'condition-list',
    area: 'condition',
    level: 'info',
    doc: 'A list of conditions means that any of them is enough. Few tools and readers know that; write one condition with `or`, or several rules.',
    run: ({ detection }, { report }) => {
      const second = detection?.conditions[1];
      if (second) report(second.at, "several conditions mean 'or': write one condition");
    },
  },
];
