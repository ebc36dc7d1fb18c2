import { foldCase } from '../case-fold.ts';
import { regexLiterals } from '../regex/index.ts';
import type { Test } from '../test-tree.ts';
import { anchorPattern, type PatternPart } from '../value-pattern.ts';

/**
 * Something an event must show before a test can be true of it, in a form that an index finds for many rules at once.
 * Texts are case-folded. `field` null means any leaf value. `sure`: showing it is all that the test it is of asks.
 */
export type Witness =
  | {
      readonly kind: 'exact' | 'starts' | 'ends' | 'contains';
      readonly field: string | null;
      readonly text: string;
      readonly sure: boolean;
    }
  | { readonly kind: 'network'; readonly field: string; readonly text: string; readonly sure: boolean }
  | { readonly kind: 'present'; readonly field: string | null; readonly text: ''; readonly sure: boolean };

/** Rough costs of a witness that few rules share: how often events may show it without the rule being true. */
const COSTS: Readonly<Record<Witness['kind'], number>> = {
  exact: 1,
  starts: 1.05,
  ends: 1.05,
  contains: 1.1,
  network: 2,
  present: 1_000,
};
/** Short literals are in many texts. Index: length. */
const SHORT_FACTORS: readonly number[] = [1_000, 100, 12, 3];

/** How many rules could be found by a witness. */
export type Popularity = ReadonlyMap<string, number>;

export function keyOf(witness: Witness): string {
  return `${witness.kind} ${witness.field === null ? '' : JSON.stringify(witness.field)} ${witness.text}`;
}

/** How a test is found: by any of the witnesses, and then what is left to ask once a sure one was shown. */
export type Findings = {
  readonly witnesses: readonly Witness[];
  /** Null when nothing is left. */
  readonly rest: Test | null;
};

/**
 * Witnesses of which an event must show at least one for the test to be true; null when there are none. Of an `and`
 * any part will do: the one that fewest rules share and that says most is taken, and the other parts are the rest.
 */
export function witnessesOf(test: Test, popularity: Popularity): Findings | null {
  switch (test.op) {
    case 'and':
      return findingsOfAll(test.of, popularity);
    case 'or': {
      const all: Witness[] = [];
      for (const part of test.of) {
        const found = witnessesOf(part, popularity);
        if (!found) return null;
        // What is left differs from part to part, so such a part is asked whole.
        all.push(...(found.rest ? found.witnesses.map((witness) => ({ ...witness, sure: false })) : found.witnesses));
      }
      return { witnesses: all, rest: null };
    }
    default: {
      const witnesses = leafWitnesses(test);
      return witnesses && { witnesses, rest: null };
    }
  }
}

function findingsOfAll(parts: readonly Test[], popularity: Popularity): Findings | null {
  let best: { readonly found: Findings; readonly part: Test } | null = null;
  for (const part of parts) {
    const found = witnessesOf(part, popularity);
    if (found && (!best || costOf(found.witnesses, popularity) < costOf(best.found.witnesses, popularity)))
      best = { found, part };
  }
  if (!best) return null;
  const { found, part } = best;
  const rest = [...parts.filter((other) => other !== part), ...(found.rest ? [found.rest] : [])];
  return { witnesses: found.witnesses, rest: rest.length > 1 ? { op: 'and', of: rest } : (rest[0] ?? null) };
}

/** All witnesses a rule could be found by, each once; what popularity is counted from. */
export function possibleWitnesses(test: Test, found: Map<string, Witness> = new Map()): ReadonlyMap<string, Witness> {
  switch (test.op) {
    case 'and':
    case 'or':
      for (const part of test.of) possibleWitnesses(part, found);
      break;
    default:
      for (const witness of leafWitnesses(test) ?? []) found.set(keyOf(witness), witness);
  }
  return found;
}

function costOf(witnesses: readonly Witness[], popularity: Popularity): number {
  return witnesses.reduce((sum, witness) => {
    const shared = popularity.get(keyOf(witness)) ?? 1;
    const isSearched = witness.kind === 'starts' || witness.kind === 'ends' || witness.kind === 'contains';
    return sum + COSTS[witness.kind] * shared * (isSearched ? (SHORT_FACTORS[witness.text.length] ?? 1) : 1);
  }, 0);
}

type LeafTest = Exclude<Test, { readonly op: 'and' | 'or' }>;

function leafWitnesses(test: LeafTest): readonly Witness[] | null {
  switch (test.op) {
    case 'not':
    case 'null':
      return null;
    case 'exists':
      return test.present ? [present(test.field, true)] : null;
    case 'text':
      return [textWitness(test.field, anchorPattern(test.parts, test.anchor), test.cased)];
    case 'keyword':
      return [textWitness(null, anchorPattern(test.parts, 'contains'), test.cased)];
    case 'regex':
      return regexWitnesses(test.field, test.pattern, test.flags);
    case 'keyword_regex':
      return regexWitnesses(null, test.pattern, test.flags);
    case 'cidr':
      return [{ kind: 'network', field: test.field, text: test.network, sure: true }];
    case 'compare':
    case 'time':
    case 'fieldref':
      return [present(test.field, false)];
  }
}

function present(field: string | null, sure: boolean): Witness {
  return { kind: 'present', field, text: '', sure };
}

function regexWitnesses(field: string | null, pattern: string, flags: string): readonly Witness[] {
  const literals = regexLiterals(pattern, flags);
  return literals ? literals.map((text) => searched('contains', field, text, false)) : [present(field, false)];
}

/** The longest text of a pattern, with the anchors that still hold for it. */
function textWitness(field: string | null, parts: readonly PatternPart[], cased: boolean): Witness {
  const [first, second, third] = parts;
  if (!first) return { kind: 'exact', field, text: '', sure: true };
  let best = -1;
  for (const [index, part] of parts.entries()) {
    const known = parts[best];
    const length = known?.kind === 'text' ? known.text.length : 0;
    if (part.kind === 'text' && part.text.length > length) best = index;
  }
  const part = parts[best];
  if (part?.kind !== 'text') return present(field, false);
  const text = foldCase(part.text);
  if (parts.length === 1) return searched('exact', field, text, !cased);
  if (best === 0) return searched('starts', field, text, !cased && parts.length === 2 && second?.kind === 'any');
  const isOpen = first.kind === 'any';
  if (best === parts.length - 1) return searched('ends', field, text, !cased && parts.length === 2 && isOpen);
  return searched('contains', field, text, !cased && parts.length === 3 && isOpen && third?.kind === 'any');
}

/** Texts are searched unit by unit: of one with surrogates, the longest piece without. */
function searched(
  kind: 'exact' | 'starts' | 'ends' | 'contains',
  field: string | null,
  text: string,
  sure: boolean,
): Witness {
  const pieces = text.split(/[\ud800-\udfff]+/);
  if (pieces.length === 1) return { kind, field, text, sure };
  const longest = pieces.reduce((best, piece) => (piece.length > best.length ? piece : best));
  return longest === '' ? present(field, false) : { kind: 'contains', field, text: longest, sure: false };
}
