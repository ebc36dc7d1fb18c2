import { foldCase } from './case-fold.ts';
import { type FieldView, type Scalar, textOf } from './field-view.ts';
import { isInNetwork, type Network, parseAddress, parseNetwork } from './match/ip-address.ts';
import { timePart } from './match/time-part.ts';
import { compileRegex } from './regex/index.ts';
import type { Relation, Test } from './test-tree.ts';
import { anchorPattern, compilePattern, type PatternAnchor } from './value-pattern.ts';

/** A compiled detection. Pure; cost is bounded by the rule's size times the text it looks at. */
export type Matcher = (view: FieldView) => boolean;

/** Tests that look at one field's values, one by one. */
export type ValueTest = Extract<
  Test,
  { op: 'text' | 'compare' | 'regex' | 'cidr' | 'time' | 'keyword' | 'keyword_regex' }
>;

/**
 * Compiles a test tree once, at load; nothing of the rule is interpreted per event. This is the reference: each rule
 * by itself, in the plainest way. `createEventMatcher` gives the same answers for many rules at once.
 * @throws RegexRefusal for a pattern, and RangeError for a network, that the parser should have refused.
 */
export function compileTest(test: Test): Matcher {
  switch (test.op) {
    case 'and': {
      const parts = test.of.map(compileTest);
      return (view) => parts.every((part) => part(view));
    }
    case 'or': {
      const parts = test.of.map(compileTest);
      return (view) => parts.some((part) => part(view));
    }
    case 'not': {
      const inner = compileTest(test.of);
      return (view) => !inner(view);
    }
    case 'exists':
      return (view) => (view.values(test.field) !== undefined) === test.present;
    case 'null':
      return (view) => view.values(test.field)?.includes(null) ?? true;
    case 'fieldref': {
      const holds = compileFieldPair(test);
      return (view) => holds(view.values(test.field), view.values(test.other));
    }
    case 'keyword':
    case 'keyword_regex': {
      const holds = compileValueTest(test);
      return (view) => {
        for (const value of view.keywords()) if (holds(value)) return true;
        return false;
      };
    }
    default: {
      const holds = compileValueTest(test);
      return (view) => view.values(test.field)?.some(holds) ?? false;
    }
  }
}

/** Whether one value satisfies the test. */
export function compileValueTest(test: ValueTest): (value: Scalar) => boolean {
  switch (test.op) {
    case 'text':
      return onText(compilePattern(anchorPattern(test.parts, test.anchor), test.cased));
    case 'keyword':
      return onText(compilePattern(anchorPattern(test.parts, 'contains'), test.cased));
    case 'regex':
    case 'keyword_regex':
      return onText(compileRegex(test.pattern, test.flags));
    case 'compare': {
      const holds = compileRelation(test.relation, test.value);
      return (value) => holds(numberOf(value));
    }
    case 'cidr': {
      const network = networkOf(test.network);
      return onText((text) => {
        const address = parseAddress(text);
        return address !== undefined && isInNetwork(address, network);
      });
    }
    case 'time': {
      const holds = compileRelation(test.relation, test.value);
      return (value) => holds(timePart(value, test.unit) ?? Number.NaN);
    }
  }
}

/** @throws RangeError for what is not a network. */
export function networkOf(text: string): Network {
  const network = parseNetwork(text);
  if (!network) throw new RangeError('a cidr test without a network');
  return network;
}

function onText(holds: (text: string) => boolean): (value: Scalar) => boolean {
  return (value) => {
    const text = textOf(value);
    return text !== undefined && holds(text);
  };
}

/** A number, or a text that is one in decimal; NaN never satisfies a relation. */
function numberOf(value: Scalar): number {
  if (typeof value === 'number') return value;
  return typeof value === 'string' && DECIMAL.test(value) ? Number(value) : Number.NaN;
}
const DECIMAL = /^\s{0,8}[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s{0,8}$/;

function compileRelation(relation: Relation | 'eq', bound: number): (value: number) => boolean {
  switch (relation) {
    case 'lt':
      return (value) => value < bound;
    case 'lte':
      return (value) => value <= bound;
    case 'gt':
      return (value) => value > bound;
    case 'gte':
      return (value) => value >= bound;
    case 'eq':
      return (value) => value === bound;
  }
}

/** Whether the values of two fields stand in the relation of the test; undefined means absent. */
export function compileFieldPair(
  test: Extract<Test, { op: 'fieldref' }>,
): (values: readonly Scalar[] | undefined, others: readonly Scalar[] | undefined) => boolean {
  const isMatch = compilePair(test.anchor);
  const normal = test.cased ? (text: string): string => text : foldCase;
  const pairMatches = (value: Scalar, other: Scalar): boolean => {
    const text = textOf(value);
    const otherText = textOf(other);
    // Two nulls are not texts that match, but neither do they differ.
    if (text === undefined || otherText === undefined) return test.negated && value === other;
    return isMatch(normal(text), normal(otherText));
  };
  return (values, others) => {
    if (!values || !others) return false;
    return values.some((value) => others.some((other) => pairMatches(value, other))) !== test.negated;
  };
}

function compilePair(anchor: PatternAnchor): (text: string, other: string) => boolean {
  switch (anchor) {
    case 'whole':
      return (text, other) => text === other;
    case 'contains':
      return (text, other) => text.includes(other);
    case 'startswith':
      return (text, other) => text.startsWith(other);
    case 'endswith':
      return (text, other) => text.endsWith(other);
  }
}
