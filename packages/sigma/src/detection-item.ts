import { applyTransform, dashVariants, type Encodable, EncodingError, finishEncoding } from './encodings.ts';
import { expandPattern, expandText, expansionsOf, PlaceholderError, type PlaceholderLists } from './expand.ts';
import type { RuleLimits } from './limits.ts';
import { type ModifierPlan, readModifiers } from './modifiers.ts';
import { canonicalNetwork } from './network.ts';
import type { DraftItem } from './pipeline/rule-draft.ts';
import type { SigmaProblemCode } from './problems.ts';
import { checkRegex } from './regex/index.ts';
import type { Test, TimeUnit } from './test-tree.ts';
import { type PatternAnchor, type PatternPart, parsePattern } from './value-pattern.ts';
import type { Position, YamlNode } from './yaml-tree.ts';

/** What reading one rule's detection shares: where problems go, what may be spent, what placeholders stand for. */
export type DetectionContext = {
  readonly limits: RuleLimits;
  /** Those of the item at hand: a pipeline may give an item lists of its own. */
  expand: PlaceholderLists;
  testsLeft: number;
  charactersLeft: number;
  report(code: SigmaProblemCode, at: Position, message: string): void;
};

/** What a pipeline has left nothing of: neither true nor false, it takes no part. Compared by identity. */
export const NOTHING: Test = { op: 'and', of: [] };

/** `and`/`or` of the parts; undefined as soon as one part could not be read. */
export function combine(op: 'and' | 'or', parts: readonly (Test | undefined)[]): Test | undefined {
  const known = parts.filter((part) => part !== undefined);
  if (known.length !== parts.length || known.length === 0) return undefined;
  const some = known.filter((part) => part !== NOTHING);
  if (some.length === 0) return NOTHING;
  return some.length === 1 ? some[0] : { op, of: some };
}

/** Undefined once the problem is reported. */
type ValueTest = Test | undefined;
type Value = Extract<YamlNode, { kind: 'scalar' }>['value'];
/** Field of an item, null for keywords. */
type Field = string | null;

/** One `field|modifier|modifier: value or values`; an empty field name stands for keywords. */
export function parseItem(item: DraftItem, context: DetectionContext): Test | undefined {
  const { field, modifiers, values, at } = item;
  const plan = readModifiers(modifiers);
  if ('code' in plan) {
    context.report(plan.code, at, plan.message);
    return undefined;
  }
  if (values.length === 0) {
    const key = [field ?? '', ...modifiers].join('|');
    context.report('value_invalid', at, `'${key}' has an empty list of values`);
    return undefined;
  }
  if (field === null && !isForKeywords(plan)) {
    const message = 'keywords take text modifiers and re only, without startswith and endswith';
    context.report('modifier_combination', at, message);
    return undefined;
  }
  const { expand } = context;
  context.expand = { ...expand, ...item.lists };
  const tests = values.map((node) => parseValue(field, node, plan, context));
  context.expand = expand;
  const isConjunction = plan.all !== (plan.negated && plan.operator.kind === 'fieldref');
  const all = combine(isConjunction ? 'and' : 'or', tests);
  return all && plan.negated && plan.operator.kind !== 'fieldref' ? { op: 'not', of: all } : all;
}

function isForKeywords({ operator, anchor }: ModifierPlan): boolean {
  const isText = operator.kind === 'text' || operator.kind === 'regex';
  return isText && (anchor === 'whole' || anchor === 'contains');
}

function parseValue(field: Field, node: YamlNode, plan: ModifierPlan, context: DetectionContext): ValueTest {
  if (node.kind !== 'scalar') {
    const owner = field === null ? 'a keyword' : `a value of '${field}'`;
    context.report('value_invalid', node.at, `${owner} must be text, a number, a boolean or null`);
    return undefined;
  }
  if (!spend(context, 1, 0, node.at)) return undefined;
  if (field === null && (node.value === null || node.value === '')) {
    context.report('value_invalid', node.at, 'a keyword must be text or a number');
    return undefined;
  }
  try {
    return testOf(field, node.value, plan, { context, at: node.at });
  } catch (error) {
    if (error instanceof ValueError) context.report(error.code, node.at, error.message);
    else if (error instanceof EncodingError) context.report('value_invalid', node.at, error.message);
    else if (error instanceof PlaceholderError) context.report('placeholder_unresolved', node.at, error.message);
    else throw error;
    return undefined;
  }
}

/** A value that its modifiers do not take. */
class ValueError extends Error {
  readonly code: SigmaProblemCode;
  constructor(message: string, code: SigmaProblemCode = 'value_invalid') {
    super(message);
    this.code = code;
  }
}

/** Takes from the budget of the rule; says so once when it is used up. */
export function spend(context: DetectionContext, tests: number, characters: number, at: Position): boolean {
  const wasSolvent = context.testsLeft >= 0 && context.charactersLeft >= 0;
  context.testsLeft -= tests;
  context.charactersLeft -= characters;
  if (context.testsLeft >= 0 && context.charactersLeft >= 0) return true;
  if (wasSolvent) {
    const { testsMax, charactersMax } = context.limits;
    const what = context.testsLeft < 0 ? `${testsMax} values` : `${charactersMax} characters of values`;
    context.report('limit_exceeded', at, `the rule has more than ${what}, modifiers and conditions written out`);
  }
  return false;
}

type Scope = { readonly context: DetectionContext; readonly at: Position };

function testOf(field: Field, value: Value, plan: ModifierPlan, scope: Scope): ValueTest {
  const { operator } = plan;
  if (operator.kind === 'text') return textTest(field, value, plan, scope);
  if (operator.kind === 'regex') return regexTest(field, value, { plan, flags: operator.flags }, scope);
  if (field === null) throw new ValueError(`'${operator.kind}' needs a field`);
  switch (operator.kind) {
    case 'exists':
      if (typeof value !== 'boolean') throw new ValueError("'exists' takes true or false");
      return { op: 'exists', field, present: value };
    case 'compare':
      return { op: 'compare', field, relation: operator.relation, value: numberOf(value, operator.relation) };
    case 'time':
      return {
        op: 'time',
        field,
        unit: operator.unit,
        relation: operator.relation,
        value: timePart(value, operator.unit),
      };
    case 'cidr':
      return networkTest(field, value, plan, scope);
    case 'fieldref': {
      if (typeof value !== 'string' || value === '') throw new ValueError("'fieldref' takes the name of a field");
      const { anchor, cased, negated } = plan;
      return { op: 'fieldref', field, other: value, anchor, cased, negated };
    }
  }
}

function textTest(field: Field, value: Value, plan: ModifierPlan, scope: Scope): ValueTest {
  if (value === null) {
    if (field === null || plan.anchor !== 'whole' || plan.transforms.length > 0) {
      throw new ValueError(`'${plan.transforms[0] ?? plan.anchor}' takes no null`, 'modifier_combination');
    }
    return { op: 'null', field };
  }
  const anchor = plan.transforms.includes('base64offset') && plan.anchor === 'whole' ? 'contains' : plan.anchor;
  const patterns = patternsOf(value, plan, scope);
  return combine(
    'or',
    patterns.map((parts) => textLeaf(field, parts, anchor, plan.cased)),
  );
}

function textLeaf(field: Field, parts: readonly PatternPart[], anchor: PatternAnchor, cased: boolean): Test {
  return field === null ? { op: 'keyword', parts, cased } : { op: 'text', field, parts, anchor, cased };
}

/** Everything the value may be, after placeholders and encodings, in the order of the modifiers. */
function patternsOf(
  value: Exclude<Value, null>,
  plan: ModifierPlan,
  scope: Scope,
): readonly (readonly PatternPart[])[] {
  if (typeof value !== 'string' && plan.transforms.length === 0) return [[{ kind: 'text', text: String(value) }]];
  const source = String(value);
  let values: readonly Encodable[] = [];
  if (plan.expand) {
    const count = expansionsOf(source, scope.context.expand);
    if (!spend(scope.context, count, count * source.length, scope.at)) return [];
    values = expandPattern(source, scope.context.expand).map((parts) => ({ parts, isBytes: false }));
  } else {
    values = [{ parts: parsePattern(source), isBytes: false }];
  }
  for (const transform of plan.transforms) {
    if (transform === 'windash' && !spendDashes(values, source.length, scope)) return [];
    if (transform === 'base64offset' && !spend(scope.context, 2 * values.length, 0, scope.at)) return [];
    values = values.flatMap((encodable) => applyTransform(transform, encodable));
  }
  return values.map(finishEncoding);
}

function spendDashes(values: readonly Encodable[], characters: number, { context, at }: Scope): boolean {
  const { dashVariantsMax } = context.limits;
  let total = 0;
  for (const { parts } of values) {
    const variants = dashVariants(parts);
    if (variants > dashVariantsMax) {
      const message = `'windash' makes ${variants} variants of this value, more than ${dashVariantsMax}: split it with 'all'`;
      throw new ValueError(message, 'limit_exceeded');
    }
    total += variants;
  }
  return spend(context, total, total * characters, at);
}

/** The pattern is taken as written: a backslash in it is the expression's own. */
function regexTest(
  field: Field,
  value: Value,
  { plan, flags }: { plan: ModifierPlan; flags: string },
  scope: Scope,
): ValueTest {
  if (value === null || value === '') throw new ValueError("'re' takes a pattern");
  const sources = textsOf(String(value), plan, scope, (text) => text.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, '\\$&'));
  const tests = sources.map((source): Test => {
    const pattern = anchored(source, plan.anchor);
    const reason = checkRegex(pattern, flags);
    if (reason !== null) throw new ValueError(`this pattern cannot be run: ${reason}`, 'regex_refused');
    return field === null ? { op: 'keyword_regex', pattern, flags } : { op: 'regex', field, pattern, flags };
  });
  return combine('or', tests);
}

/** A search is unanchored by itself, so `contains` changes nothing. */
function anchored(pattern: string, anchor: PatternAnchor): string {
  // Flags in front, as in `(?i)abc`, hold for the whole pattern and stay there.
  const flags = /^\(\?[a-z]+\)/.exec(pattern)?.[0] ?? '';
  const rest = pattern.slice(flags.length);
  if (anchor === 'startswith') return `${flags}^(?:${rest})`;
  return anchor === 'endswith' ? `${flags}(?:${rest})$` : pattern;
}

function textsOf(
  source: string,
  plan: ModifierPlan,
  { context, at }: Scope,
  quote: (value: string) => string,
): readonly string[] {
  if (!plan.expand) return [source];
  const count = expansionsOf(source, context.expand);
  return spend(context, count, count * source.length, at) ? expandText(source, context.expand, quote) : [];
}

function networkTest(field: string, value: Value, plan: ModifierPlan, scope: Scope): ValueTest {
  if (typeof value !== 'string') throw new ValueError("'cidr' takes a network such as 10.0.0.0/8 or 2001:db8::/32");
  const tests = textsOf(value, plan, scope, (text) => text).map((text): Test => {
    const network = canonicalNetwork(text);
    if (network === undefined) throw new ValueError(`'${text}' is not a network such as 10.0.0.0/8 or 2001:db8::/32`);
    return { op: 'cidr', field, network };
  });
  return combine('or', tests);
}

const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;

function numberOf(value: Value, modifier: string): number {
  const number = typeof value === 'string' && NUMBER.test(value.trim()) ? Number(value) : value;
  if (typeof number === 'number' && Number.isFinite(number)) return number;
  throw new ValueError(`'${modifier}' takes a number`);
}

/** Lowest and highest value of each part of a time; ISO weeks go up to 53. */
const TIME_RANGES: Readonly<Record<TimeUnit, readonly [number, number]>> = {
  minute: [0, 59],
  hour: [0, 23],
  day: [1, 31],
  week: [1, 53],
  month: [1, 12],
  year: [0, 9999],
};

function timePart(value: Value, unit: TimeUnit): number {
  const [lowest, highest] = TIME_RANGES[unit];
  const number = typeof value === 'string' && /^\d{1,4}$/.test(value) ? Number(value) : value;
  if (typeof number === 'number' && Number.isInteger(number) && number >= lowest && number <= highest) return number;
  throw new ValueError(`'${unit}' takes a whole number from ${lowest} to ${highest}`);
}
