import { foldPoint } from '../case-fold.ts';
import type { CharSet } from './char-set.ts';
import type { RegexNode } from './syntax.ts';

/** Most alternatives that are followed, and most literals that are named. */
const LITERALS_MAX = 64;
const LENGTH_MAX = 64;
/** A set with more members says too little to be spelled out. */
const MEMBERS_MAX = 8;

type Spelling = {
  /** All texts the node can match, if few. */
  readonly exact: readonly string[] | null;
  /** Texts of which at least one is in whatever the node matches. */
  readonly required: readonly string[] | null;
};

const NOTHING: Spelling = { exact: [''], required: null };
const UNKNOWN: Spelling = { exact: null, required: null };

/**
 * Texts of which at least one is in every text the pattern is found in, or null when there is none to name. With
 * `folded` they are case-folded, and hold for the folded text; without, they hold for the text itself.
 */
export function requiredLiterals(node: RegexNode, folded: boolean): readonly string[] | null {
  const best = bestOf(spell(node, folded));
  // A literal that holds another is found only where the other is.
  return best && best.filter((text) => !best.some((other) => other !== text && text.includes(other)));
}

function spell(node: RegexNode, folded: boolean): Spelling {
  switch (node.kind) {
    case 'assert':
      return NOTHING;
    case 'set': {
      const members = membersOf(node.set, folded);
      return members ? { exact: members, required: null } : UNKNOWN;
    }
    case 'cat':
      return spellSequence(node.of.map((part) => spell(part, folded)));
    case 'alt':
      return spellAlternatives(node.of.map((part) => spell(part, folded)));
    case 'repeat': {
      const inner = spell(node.of, folded);
      if (node.max <= 4) {
        const counts = Array.from({ length: node.max - node.min + 1 }, (_, extra) =>
          spellSequence(Array.from({ length: node.min + extra }, () => inner)),
        );
        return spellAlternatives(counts);
      }
      if (node.min === 0) return UNKNOWN;
      const repeated = spellSequence(Array.from({ length: Math.min(node.min, LENGTH_MAX) }, () => inner));
      return { exact: null, required: bestOf(repeated) };
    }
  }
}

function membersOf(set: CharSet, folded: boolean): readonly string[] | null {
  const members = new Set<string>();
  for (let i = 0; i < set.length; i += 2) {
    if ((set[i + 1] as number) - (set[i] as number) > MEMBERS_MAX) return null;
    for (let point = set[i] as number; point <= (set[i + 1] as number); point++) {
      members.add(String.fromCodePoint(folded ? foldPoint(point) : point));
      if (members.size > MEMBERS_MAX) return null;
    }
  }
  return [...members];
}

function spellSequence(parts: readonly Spelling[]): Spelling {
  let run: readonly string[] = [''];
  let best: readonly string[] | null = null;
  let isExact = true;
  for (const part of parts) {
    const joined = part.exact && product(run, part.exact);
    if (joined) {
      run = joined;
      continue;
    }
    isExact = false;
    best = better(better(best, run), bestOf(part));
    run = part.exact ?? [''];
  }
  return { exact: isExact ? run : null, required: better(best, run) };
}

function spellAlternatives(parts: readonly Spelling[]): Spelling {
  const exact = new Set<string>();
  const required = new Set<string>();
  let isExact = true;
  let isRequired = true;
  for (const part of parts) {
    if (part.exact) for (const text of part.exact) exact.add(text);
    else isExact = false;
    const best = bestOf(part);
    if (best) for (const text of best) required.add(text);
    else isRequired = false;
  }
  return {
    exact: isExact && exact.size <= LITERALS_MAX ? [...exact] : null,
    required: isRequired && required.size <= LITERALS_MAX ? [...required] : null,
  };
}

function product(left: readonly string[], right: readonly string[]): readonly string[] | null {
  if (left.length * right.length > LITERALS_MAX) return null;
  const texts = left.flatMap((head) => right.map((tail) => head + tail));
  return texts.every((text) => text.length <= LENGTH_MAX) ? texts : null;
}

function bestOf(spelling: Spelling): readonly string[] | null {
  return better(spelling.required, spelling.exact);
}

/** The set whose shortest text is longer says more; of two such, the smaller set. A set with '' says nothing. */
function better(left: readonly string[] | null, right: readonly string[] | null): readonly string[] | null {
  const a = shortest(left);
  const b = shortest(right);
  if (a === 0 && b === 0) return null;
  if (a !== b) return a > b ? left : right;
  return (left?.length ?? 0) <= (right?.length ?? 0) ? left : right;
}

function shortest(texts: readonly string[] | null): number {
  return texts && texts.length > 0 ? Math.min(...texts.map((text) => text.length)) : 0;
}
