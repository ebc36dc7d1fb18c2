import { type FieldView, type Scalar, textOf } from './field-view.ts';
import type { Relation, Test } from './test-tree.ts';
import { anchorPattern, compilePattern } from './value-pattern.ts';

/** A compiled detection. Pure; cost is bounded by the rule's size times the text it looks at. */
export type Matcher = (view: FieldView) => boolean;

/** Compiles a test tree once, at load; nothing of the rule is interpreted per event. */
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
    case 'text': {
      const matches = compilePattern(anchorPattern(test.parts, test.anchor), test.cased);
      return (view) => anyText(view.values(test.field), matches);
    }
    case 'compare': {
      const holds = compileRelation(test.relation, test.value);
      return (view) => view.values(test.field)?.some((value) => holds(numberOf(value))) ?? false;
    }
    case 'regex':
    case 'keyword_regex':
    case 'cidr':
    case 'fieldref':
    case 'time':
      throw new TypeError('no rule asks for this yet');
    case 'keyword': {
      const matches = compilePattern(anchorPattern(test.parts, 'contains'), test.cased);
      return (view) => anyText(view.keywords(), matches);
    }
  }
}

function anyText(values: Iterable<Scalar> | undefined, matches: (text: string) => boolean): boolean {
  if (!values) return false;
  for (const value of values) {
    const text = textOf(value);
    if (text !== undefined && matches(text)) return true;
  }
  return false;
}

/** A number, or a text that is one; NaN never satisfies a relation. */
function numberOf(value: Scalar): number {
  if (typeof value === 'number') return value;
  return typeof value === 'string' && value.trim() !== '' ? Number(value) : Number.NaN;
}

function compileRelation(relation: Relation, bound: number): (value: number) => boolean {
  switch (relation) {
    case 'lt':
      return (value) => value < bound;
    case 'lte':
      return (value) => value <= bound;
    case 'gt':
      return (value) => value > bound;
    case 'gte':
      return (value) => value >= bound;
  }
}
