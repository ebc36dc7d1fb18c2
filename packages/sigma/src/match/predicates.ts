import { foldCase } from '../case-fold.ts';
import { isList, type Scalar } from '../field-view.ts';
import { compileFieldPair, compileValueTest } from '../matcher.ts';
import { compileRegex } from '../regex/index.ts';
import type { Test } from '../test-tree.ts';
import { anchorPattern, compileFoldedPattern, compilePattern, type PatternPart } from '../value-pattern.ts';
import type { EventTexts, FieldSlot } from './event-texts.ts';

/** Whether a test is true of the event that the shared `EventTexts` holds. */
export type Predicate = () => boolean;

/** Alternatives of one field from which a set is faster than asking one after another. */
const SET_SIZE_MIN = 4;
/** Cheap tests are asked first: the order of `and` and `or` has no meaning of its own. */
const COST_ORDER: readonly Test['op'][] = ['exists', 'null', 'compare', 'text', 'time', 'cidr', 'fieldref', 'regex'];

/**
 * Compiles the tests of many rules over one `EventTexts`, each when it is first asked for. Equal tests are one predicate,
 * and one that several places ask for is decided at most once per event.
 */
export function createPredicateCompiler(tests: readonly Test[], texts: EventTexts): (test: Test) => Predicate {
  let uses: Map<string, number> | undefined;
  const known = new Map<string, Predicate>();
  const compile = (test: Test): Predicate => {
    uses ??= usesOf(tests);
    const key = JSON.stringify(test);
    let predicate = known.get(key);
    if (!predicate) {
      const plain = compilePlain(test, texts, compile);
      predicate = (uses.get(key) ?? 0) > 1 ? once(plain, texts) : plain;
      known.set(key, predicate);
    }
    return predicate;
  };
  return compile;
}

function usesOf(tests: readonly Test[]): Map<string, number> {
  const uses = new Map<string, number>();
  for (const test of tests) countUses(test, uses);
  return uses;
}

function countUses(test: Test, uses: Map<string, number>): void {
  const key = JSON.stringify(test);
  const count = uses.get(key) ?? 0;
  uses.set(key, count + 1);
  // The inside of a test met before is decided with it.
  if (count > 0) return;
  if (test.op === 'and' || test.op === 'or') for (const part of test.of) countUses(part, uses);
  else if (test.op === 'not') countUses(test.of, uses);
}

function once(plain: Predicate, texts: EventTexts): Predicate {
  let epoch = 0;
  let answer = false;
  return () => {
    if (epoch !== texts.epoch) {
      answer = plain();
      epoch = texts.epoch;
    }
    return answer;
  };
}

function compilePlain(test: Test, texts: EventTexts, compile: (test: Test) => Predicate): Predicate {
  switch (test.op) {
    case 'and':
      return conjunction(inCostOrder(test.of).map(compile));
    case 'or':
      return disjunction(compileAlternatives(test.of, texts, compile));
    case 'not': {
      const inner = compile(test.of);
      return () => !inner();
    }
    case 'exists': {
      const slot = texts.slot(test.field);
      return () => (slot.found() !== undefined) === test.present;
    }
    case 'null': {
      const slot = texts.slot(test.field);
      return () => {
        const found = slot.found();
        return found === undefined || found === null || (isList(found) && found.includes(null));
      };
    }
    case 'text': {
      const parts = anchorPattern(test.parts, test.anchor);
      const slot = texts.slot(test.field);
      return test.cased ? onFound(slot, compileValueTest(test)) : onFolded(slot, compileFoldedPattern(parts));
    }
    case 'fieldref': {
      const slot = texts.slot(test.field);
      const other = texts.slot(test.other);
      const holds = compileFieldPair(test);
      return () => holds(listOf(slot), listOf(other));
    }
    case 'keyword': {
      const parts = anchorPattern(test.parts, 'contains');
      if (test.cased) return onLeaves(texts, compilePattern(parts, true));
      const matches = compileFoldedPattern(parts);
      return () => texts.foldedLeaves().some(matches);
    }
    case 'keyword_regex':
      return onLeaves(texts, compileRegex(test.pattern, test.flags));
    default:
      return onFound(texts.slot(test.field), compileValueTest(test));
  }
}

function conjunction(parts: readonly Predicate[]): Predicate {
  const [first, second, third] = parts;
  if (first && second && parts.length === 2) return () => first() && second();
  if (first && second && third && parts.length === 3) return () => first() && second() && third();
  return () => {
    for (const part of parts) if (!part()) return false;
    return true;
  };
}

function disjunction(parts: readonly Predicate[]): Predicate {
  const [first, second] = parts;
  if (first && parts.length === 1) return first;
  if (first && second && parts.length === 2) return () => first() || second();
  return () => {
    for (const part of parts) if (part()) return true;
    return false;
  };
}

function inCostOrder(tests: readonly Test[]): readonly Test[] {
  const rank = ({ op }: Test): number => {
    const index = COST_ORDER.indexOf(op);
    return index < 0 ? COST_ORDER.length : index;
  };
  return [...tests].sort((a, b) => rank(a) - rank(b));
}

/** Whole texts of one field become one set; the others stay as they are. */
function compileAlternatives(
  tests: readonly Test[],
  texts: EventTexts,
  compile: (test: Test) => Predicate,
): readonly Predicate[] {
  const byField = new Map<string, Set<string>>();
  const rest: Test[] = [];
  const isExact = (test: Test): test is Extract<Test, { op: 'text' }> =>
    test.op === 'text' && test.anchor === 'whole' && !test.cased && wholeText(test.parts) !== undefined;
  const counts = new Map<string, number>();
  for (const test of tests) if (isExact(test)) counts.set(test.field, (counts.get(test.field) ?? 0) + 1);
  for (const test of tests) {
    if (!isExact(test) || (counts.get(test.field) ?? 0) < SET_SIZE_MIN) rest.push(test);
    else {
      const set = byField.get(test.field) ?? new Set();
      byField.set(test.field, set.add(foldCase(wholeText(test.parts) ?? '')));
    }
  }
  const sets = [...byField].map(([field, set]) => onFolded(texts.slot(field), (text) => set.has(text)));
  return [...sets, ...inCostOrder(rest).map(compile)];
}

function wholeText(parts: readonly PatternPart[]): string | undefined {
  const [part, more] = parts;
  if (!part) return '';
  return !more && part.kind === 'text' ? part.text : undefined;
}

function onFolded(slot: FieldSlot, matches: (text: string) => boolean): Predicate {
  return () => {
    const folded = slot.folded();
    if (typeof folded === 'string') return matches(folded);
    return folded?.some(matches) ?? false;
  };
}

function onFound(slot: FieldSlot, holds: (value: Scalar) => boolean): Predicate {
  return () => {
    const found = slot.found();
    if (found === undefined) return false;
    return isList(found) ? found.some(holds) : holds(found);
  };
}

function onLeaves(texts: EventTexts, matches: (text: string) => boolean): Predicate {
  return () => texts.leaves().some(matches);
}

function listOf(slot: FieldSlot): readonly Scalar[] | undefined {
  const found = slot.found();
  return found === undefined || isList(found) ? found : [found];
}
