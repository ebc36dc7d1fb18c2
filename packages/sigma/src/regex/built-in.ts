import { type CharSet, negate } from './char-set.ts';
import type { Assertion, RegexNode } from './syntax.ts';

/**
 * Most steps the backtracking engine of JavaScript may take from one position of the text. With it bounded by the
 * pattern alone, a search is linear in the text.
 */
const STEPS_MAX = 128;

const ASSERTION_SOURCES: Readonly<Record<Assertion, string>> = {
  textStart: '^',
  textEnd: '$',
  // `^` and `$` with the flag m would also stand at \r, U+2028 and U+2029.
  lineStart: '(?<![^\\n])',
  lineEnd: '(?![^\\n])',
  word: '\\b',
  notWord: '\\B',
};

/**
 * The pattern for the built-in engine when that is proved safe, else null. The proof: without unbounded repetition,
 * and with at most STEPS_MAX ways through the pattern, each start position costs a constant, so no text makes it
 * backtrack further. (One unbounded quantifier is already quadratic in an unanchored search: `a+b` over `aaaa...`.)
 * The source is written anew from the tree, every set spelled out and no flag but `u`, so that none of the differences
 * between the dialects (`.`, `\s`, `\w`, `$`, case folding) is left.
 */
export function toBuiltIn(node: RegexNode): RegExp | null {
  if (stepsOf(node).steps > STEPS_MAX) return null;
  const isAstral = readsAstral(node);
  // Read by code point, V8 still tries the place between the halves of a surrogate pair, where a look at either side
  // finds no code point: the start and the end of a line would both stand there.
  if (isAstral && hasLineAssertion(node)) return null;
  return new RegExp(sourceOf(node), isAstral ? 'u' : '');
}

function hasLineAssertion(node: RegexNode): boolean {
  switch (node.kind) {
    case 'set':
      return false;
    case 'assert':
      return node.what === 'lineStart' || node.what === 'lineEnd';
    case 'repeat':
      return hasLineAssertion(node.of);
    default:
      return node.of.some(hasLineAssertion);
  }
}

type Steps = { readonly ways: number; readonly steps: number };

/** Ways through a node, and characters tried over all of them. */
function stepsOf(node: RegexNode): Steps {
  switch (node.kind) {
    case 'set':
    case 'assert':
      // JavaScript lets \B stand between the halves of a surrogate pair.
      return { ways: 1, steps: node.kind === 'assert' && node.what === 'notWord' ? Number.POSITIVE_INFINITY : 1 };
    case 'cat':
      return node.of.map(stepsOf).reduce(inSequence, { ways: 1, steps: 0 });
    case 'alt':
      return node.of
        .map(stepsOf)
        .reduce((sum, part) => ({ ways: sum.ways + part.ways, steps: sum.steps + part.steps }));
    case 'repeat': {
      if (node.max === Number.POSITIVE_INFINITY || node.max > STEPS_MAX)
        return { ways: 1, steps: Number.POSITIVE_INFINITY };
      const inner = stepsOf(node.of);
      let run: Steps = { ways: 1, steps: 0 };
      let ways = node.min === 0 ? 1 : 0;
      for (let count = 1; count <= node.max; count++) {
        run = inSequence(run, inner);
        if (count >= node.min) ways += run.ways;
      }
      return { ways, steps: run.steps + ways };
    }
  }
}

function inSequence(head: Steps, tail: Steps): Steps {
  return { ways: head.ways * tail.ways, steps: head.steps + head.ways * tail.steps };
}

/** Sets with code points that take two code units, or with half of one, need the engine's reading by code point. */
function readsAstral(node: RegexNode): boolean {
  switch (node.kind) {
    case 'set':
      return node.set.some((_, index) => index % 2 === 0 && needsCodePoints(node.set, index));
    case 'assert':
      return false;
    case 'repeat':
      return readsAstral(node.of);
    default:
      return node.of.some(readsAstral);
  }
}

function needsCodePoints(set: CharSet, index: number): boolean {
  const low = set[index] as number;
  const high = set[index + 1] as number;
  return high > 0xffff || (low <= 0xdfff && high >= 0xd800);
}

function sourceOf(node: RegexNode): string {
  switch (node.kind) {
    case 'set':
      return setSource(node.set);
    case 'assert':
      return ASSERTION_SOURCES[node.what];
    case 'cat':
      return node.of.map(sourceOf).join('');
    case 'alt':
      return `(?:${node.of.map(sourceOf).join('|')})`;
    case 'repeat':
      return `(?:${sourceOf(node.of)}){${node.min},${node.max}}`;
  }
}

function setSource(set: CharSet): string {
  const rest = negate(set);
  if (set.length === 2 && set[0] === set[1]) return pointSource(set[0] as number);
  return rest.length < set.length ? `[^${rangesSource(rest)}]` : `[${rangesSource(set)}]`;
}

function rangesSource(set: CharSet): string {
  let source = '';
  for (let i = 0; i < set.length; i += 2) {
    source += pointSource(set[i] as number);
    if (set[i] !== set[i + 1]) source += `-${pointSource(set[i + 1] as number)}`;
  }
  return source;
}

function pointSource(point: number): string {
  if (point > 0xffff) return `\\u{${point.toString(16)}}`;
  const char = String.fromCharCode(point);
  return /[A-Za-z0-9]/.test(char) ? char : `\\u${point.toString(16).padStart(4, '0')}`;
}
