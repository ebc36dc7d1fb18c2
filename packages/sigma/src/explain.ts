import type { FieldView, Scalar } from './field-view.ts';
import { compileTest } from './matcher.ts';
import type { Test } from './test-tree.ts';
import type { PatternPart } from './value-pattern.ts';

/** Why a test is true or false of an event, with the shape of the test. Plain data, for people and for JSON. */
export type Explanation =
  | { readonly op: 'and' | 'or'; readonly matched: boolean; readonly of: readonly Explanation[] }
  | { readonly op: 'not'; readonly matched: boolean; readonly of: Explanation }
  | LeafExplanation;

export type LeafExplanation = {
  readonly op: 'test';
  readonly matched: boolean;
  /** The test in words, e.g. `CommandLine contains "mimikatz"`. */
  readonly test: string;
  /** Null for a keyword, which looks at every value. */
  readonly field: string | null;
  /** What the event has there, at most eight values; null when it has no such field. For a keyword: the values it is in. */
  readonly values: readonly Scalar[] | null;
};

const VALUES_MAX = 8;
/** Characters of a value that are shown. */
const VALUE_LENGTH_MAX = 256;

/** Explains a test on an event. Every leaf is looked at, also those a matcher would skip. */
export function explainTest(test: Test, view: FieldView): Explanation {
  switch (test.op) {
    case 'and':
    case 'or': {
      const of = test.of.map((part) => explainTest(part, view));
      const matched = test.op === 'and' ? of.every((part) => part.matched) : of.some((part) => part.matched);
      return { op: test.op, matched, of };
    }
    case 'not': {
      const of = explainTest(test.of, view);
      return { op: 'not', matched: !of.matched, of };
    }
    default:
      return explainLeaf(test, view);
  }
}

type Leaf = Exclude<Test, { readonly op: 'and' | 'or' | 'not' }>;

function explainLeaf(test: Leaf, view: FieldView): LeafExplanation {
  const matches = compileTest(test);
  if (test.op === 'keyword' || test.op === 'keyword_regex') {
    const found = [...view.keywords()].filter((value) => matches({ values: () => [value], keywords: () => [value] }));
    return { op: 'test', matched: found.length > 0, test: testText(test), field: null, values: shown(found) };
  }
  const values = view.values(test.field);
  return {
    op: 'test',
    matched: matches(view),
    test: testText(test),
    field: test.field,
    values: values === undefined ? null : shown(values),
  };
}

function shown(values: readonly Scalar[]): readonly Scalar[] {
  return values.slice(0, VALUES_MAX).map((value) => (typeof value === 'string' ? cut(value) : value));
}

function cut(text: string): string {
  return text.length > VALUE_LENGTH_MAX ? `${text.slice(0, VALUE_LENGTH_MAX - 1)}…` : text;
}

/**
 * The fewest leaves that would have to turn out otherwise for the explained test to match; empty when it does. Where
 * several sets are as small, the first in the order of the rule.
 */
export function blockersOf(explanation: Explanation): readonly LeafExplanation[] {
  return leavesToTurn(explanation, true);
}

function leavesToTurn(explanation: Explanation, wanted: boolean): readonly LeafExplanation[] {
  if (explanation.matched === wanted) return [];
  if (explanation.op === 'test') return [explanation];
  if (explanation.op === 'not') return leavesToTurn(explanation.of, !wanted);
  const parts = explanation.of.map((part) => leavesToTurn(part, wanted));
  // To make an `and` true, or an `or` false, every part must turn; otherwise one is enough.
  if ((explanation.op === 'and') === wanted) return parts.flat();
  return parts.reduce((fewest, part) => (part.length < fewest.length ? part : fewest), parts[0] ?? []);
}

/** A leaf in words. */
export function testText(test: Leaf): string {
  switch (test.op) {
    case 'exists':
      return `${test.field} ${test.present ? 'is present' : 'is absent'}`;
    case 'null':
      return `${test.field} is null or absent`;
    case 'text':
      return `${test.field} ${verbOf(test.anchor)} ${quoted(patternText(test.parts))}${test.cased ? ' (case counts)' : ''}`;
    case 'compare':
      return `${test.field} ${SIGNS[test.relation]} ${test.value}`;
    case 'regex':
      return `${test.field} matches /${test.pattern}/${test.flags}`;
    case 'cidr':
      return `${test.field} is in ${test.network}`;
    case 'fieldref':
      return `${test.field} ${test.negated ? 'differs from' : verbOf(test.anchor)} the value of ${test.other}`;
    case 'time':
      return `${test.unit} of ${test.field} ${SIGNS[test.relation]} ${test.value}`;
    case 'keyword':
      return `any value contains ${quoted(patternText(test.parts))}${test.cased ? ' (case counts)' : ''}`;
    case 'keyword_regex':
      return `any value matches /${test.pattern}/${test.flags}`;
  }
}

const SIGNS = { lt: '<', lte: '<=', gt: '>', gte: '>=', eq: '=' } as const;

function verbOf(anchor: Extract<Test, { readonly op: 'text' }>['anchor']): string {
  switch (anchor) {
    case 'whole':
      return 'is';
    case 'contains':
      return 'contains';
    case 'startswith':
      return 'starts with';
    case 'endswith':
      return 'ends with';
  }
}

function patternText(parts: readonly PatternPart[]): string {
  return parts.map((part) => (part.kind === 'text' ? part.text : part.kind === 'any' ? '*' : '?')).join('');
}

function quoted(text: string): string {
  return JSON.stringify(text);
}
