import { type PatternPart, parsePattern } from './value-pattern.ts';

/** Values per placeholder name, without the percent signs; given by whoever loads the rules. */
export type PlaceholderLists = Readonly<Record<string, readonly string[]>>;

/** An escaped backslash (so what follows is not escaped), an escaped percent sign, or a placeholder. */
const PLACEHOLDER = /\\\\|\\%|%([^%\s\\]+)%/g;

/** Raised for a placeholder that stands for nothing: the rule must then be rejected (Sigma 2.1, "expand"). */
export class PlaceholderError extends Error {}

/**
 * How many values `expand` makes of one value; may be infinite.
 * @throws PlaceholderError when no list has the name.
 */
export function expansionsOf(source: string, lists: PlaceholderLists): number {
  let count = 1;
  for (const [, name] of source.matchAll(PLACEHOLDER)) if (name !== undefined) count *= listOf(name, lists).length;
  return count;
}

/**
 * Fills in the placeholders of one pattern: one pattern per combination of list values. List values are Sigma strings
 * and may hold wildcards. `\%` is a percent sign.
 * @throws PlaceholderError when no list has the name.
 */
export function expandPattern(source: string, lists: PlaceholderLists): readonly (readonly PatternPart[])[] {
  let patterns: readonly (readonly PatternPart[])[] = [[]];
  for (const piece of cut(source, lists)) {
    const choices = (typeof piece === 'string' ? [piece] : piece).map(parsePattern);
    patterns = patterns.flatMap((pattern) => choices.map((parts) => joinParts(pattern, parts)));
  }
  return patterns;
}

/** The same for a regular expression or a network; `quote` is applied to list values. */
export function expandText(
  source: string,
  lists: PlaceholderLists,
  quote: (value: string) => string,
): readonly string[] {
  let texts: readonly string[] = [''];
  for (const piece of cut(source, lists)) {
    const choices = typeof piece === 'string' ? [piece] : piece.map(quote);
    texts = texts.flatMap((text) => choices.map((choice) => text + choice));
  }
  return texts;
}

/** The text cut at its placeholders: texts, still with their escapes, and lists of what a placeholder stands for. */
function cut(source: string, lists: PlaceholderLists): readonly (string | readonly string[])[] {
  const pieces: (string | readonly string[])[] = [];
  let from = 0;
  let plain = '';
  for (const found of source.matchAll(PLACEHOLDER)) {
    plain += source.slice(from, found.index);
    from = found.index + found[0].length;
    const name = found[1];
    if (name === undefined) plain += found[0] === '\\%' ? '%' : found[0];
    else {
      pieces.push(plain, listOf(name, lists));
      plain = '';
    }
  }
  return [...pieces, plain + source.slice(from)];
}

function listOf(name: string, lists: PlaceholderLists): readonly string[] {
  const list = Object.hasOwn(lists, name) ? lists[name] : undefined;
  if (!list || list.length === 0) {
    throw new PlaceholderError(`placeholder '%${name}%' has no values: give a list of that name`);
  }
  return list;
}

/** Neighbouring texts become one part, neighbouring `*` too, as `parsePattern` leaves them. */
function joinParts(head: readonly PatternPart[], tail: readonly PatternPart[]): readonly PatternPart[] {
  const joined = [...head];
  for (const part of tail) {
    const last = joined.at(-1);
    if (part.kind === 'text' && last?.kind === 'text') {
      joined[joined.length - 1] = { kind: 'text', text: last.text + part.text };
    } else if (!(part.kind === 'any' && last?.kind === 'any')) joined.push(part);
  }
  return joined;
}
