import type { Position } from '@tracehound/sigma';
import type { Check, CheckContext } from '../check.ts';
import { type ItemSketch, itemsOf } from '../detection-sketch.ts';

function onPatterns(
  look: (found: { item: ItemSketch; pattern: string; at: Position }, context: CheckContext) => void,
): NonNullable<Check['run']> {
  return ({ detection }, context) => {
    for (const item of detection ? itemsOf(detection) : []) {
      if (!item.modifiers.includes('re')) continue;
      for (const { value, at } of item.values) look({ item, pattern: String(value), at }, context);
    }
  };
}

/** Parts of the syntax that no linear-time engine can run; the first one found. */
function refusedPart(pattern: string): string | undefined {
  // Escapes and classes are letters here: their signs have no meaning of their own.
  const bare = pattern.replaceAll(/\\[^1-9k]/g, 'x').replaceAll(/\[\^?\]?[^\]]*\]/g, 'x');
  if (/\(\?<?[=!]/.test(bare)) return 'look-around';
  if (/\\[1-9]|\\k[<'{]/.test(bare)) return 'a back-reference';
  if (/\(\?>/.test(bare)) return 'an atomic group';
  if (/[*+?}]\+/.test(bare)) return 'a possessive quantifier';
  return undefined;
}

/** Does it parse? Inline flags and named groups of other dialects are taken out first. */
function isValid(pattern: string): boolean {
  try {
    new RegExp(
      pattern
        .replaceAll(/\(\?[a-zA-Z]+\)/g, '')
        .replaceAll(/\(\?[a-zA-Z-]+:/g, '(?:')
        .replaceAll('(?P<', '(?<'),
    );
    return true;
  } catch {
    return false;
  }
}

/** A group that ends in, or consists of, an unbounded repetition and is itself repeated: `(a+)+`. */
function hasNestedRepetition(pattern: string): boolean {
  const bare = pattern.replaceAll(/\\./g, 'x').replaceAll(/\[[^\]]*\]/g, 'x');
  return /\((?:\?[:\w]+)?[^()]*[+*][^()]*\)(?:[*+]|\{\d+,\})/.test(bare) && !/\)\?/.test(bare.slice(-2));
}

const META = /[.^$*+?{}[\]|()\\]/;

export const REGEX_CHECKS: readonly Check[] = [
  {
    code: 'regex-invalid',
    area: 'regex',
    level: 'error',
    doc: 'The pattern is not a regular expression. Often a wildcard pattern such as `*word*` stands under `re`.',
    run: onPatterns(({ pattern, at }, { report }) => {
      if (refusedPart(pattern) === undefined && !isValid(pattern)) report(at, 'this is not a regular expression');
    }),
  },
  {
    code: 'regex-refused',
    area: 'regex',
    level: 'error',
    doc: 'Sigma allows no look-around, back-references, atomic groups or possessive quantifiers, and an engine whose time grows with the text only cannot run them. Split the pattern into several values or selections.',
    run: onPatterns(({ pattern, at }, { report }) => {
      const part = refusedPart(pattern);
      if (part) report(at, `the pattern has ${part}, which Sigma does not allow`);
    }),
  },
  {
    code: 'regex-nested-repetition',
    area: 'regex',
    level: 'warning',
    doc: 'A repeated group that itself repeats, such as `(a+)+`, takes exponential time in backtracking engines. Here it runs in linear time, elsewhere one event may hang the detection. Write it without the inner repetition.',
    run: onPatterns(({ pattern, at }, { report }) => {
      if (hasNestedRepetition(pattern)) report(at, 'a repetition inside a repetition: exponential in other engines');
    }),
  },
  {
    code: 'regex-literal',
    area: 'regex',
    level: 'info',
    doc: 'The pattern has no special characters, so it is a plain search. `contains|cased` says the same, is faster, and needs no escaping.',
    run: onPatterns(({ item, pattern, at }, { report }) => {
      if (!META.test(pattern))
        report(at, `write '${item.field}|contains${item.modifiers.includes('i') ? '' : '|cased'}'`);
    }),
  },
  {
    code: 'regex-anchored-any',
    area: 'regex',
    level: 'info',
    doc: '`.*` at the start or end of a pattern changes nothing, because the search is unanchored. Delete it.',
    run: onPatterns(({ pattern, at }, { report }) => {
      if (pattern.length > 2 && (pattern.startsWith('.*') || /[^\\]\.\*$/.test(pattern)))
        report(at, "'.*' at the edge changes nothing");
    }),
  },
  {
    code: 'regex-literal-alternatives',
    area: 'regex',
    level: 'info',
    doc: 'The pattern only lists plain texts: `(a|b|c)`. A list under `contains` says the same and can be indexed.',
    run: onPatterns(({ pattern, at }, { report }) => {
      const inner = /^\(?(?:\?:)?([^()]*)\)?$/.exec(pattern)?.[1] ?? '';
      if (inner.includes('|') && inner.split('|').every((part) => part !== '' && !META.test(part)))
        report(at, "list the texts under 'contains'");
    }),
  },
  {
    code: 'regex-inline-flag',
    area: 'regex',
    level: 'warning',
    doc: 'Flags inside the pattern, such as `(?i)`, are not part of Sigma. Use the modifiers `re|i`, `re|m` and `re|s`.',
    run: onPatterns(({ pattern, at }, { report }) => {
      const flag = /\(\?([a-zA-Z]+)[):]/.exec(pattern)?.[1];
      if (flag && flag !== 'P') report(at, `use 're|${flag.split('').join('|')}' instead of '(?${flag})'`);
    }),
  },
  {
    code: 'regex-dot-in-host',
    area: 'regex',
    level: 'info',
    doc: 'An unescaped dot in what looks like a host name or file name matches any character. Escape it: `\\.`.',
    run: onPatterns(({ pattern, at }, { report }) => {
      if (/\w\.(com|net|org|io|exe|dll|ps1|js)\b/.test(pattern)) report(at, "'.' matches any character: write '\\.'");
    }),
  },
];
