import type { Relation, TimeUnit } from './test-tree.ts';
import type { PatternAnchor } from './value-pattern.ts';

/** How the value of an item is compared, once everything that rewrites the value is done. */
export type Operator =
  | { readonly kind: 'text' | 'exists' | 'cidr' | 'fieldref' }
  | { readonly kind: 'regex'; readonly flags: string }
  | { readonly kind: 'compare'; readonly relation: Relation }
  | { readonly kind: 'time'; readonly unit: TimeUnit; readonly relation: Relation | 'eq' };

/** Rewrites a value; applied in the order written. */
export type Transform = 'windash' | 'utf16le' | 'utf16be' | 'utf16' | 'base64' | 'base64offset';

/** What the modifiers of one item ask for together. */
export type ModifierPlan = {
  readonly operator: Operator;
  readonly anchor: PatternAnchor;
  readonly transforms: readonly Transform[];
  readonly expand: boolean;
  readonly all: boolean;
  readonly cased: boolean;
  readonly negated: boolean;
};

/** Why a chain of modifiers cannot be run; `modifier` is the one to blame. */
export type ModifierRefusal = {
  readonly code: 'modifier_unknown' | 'modifier_combination';
  readonly message: string;
};

type State = {
  -readonly [key in keyof ModifierPlan]: ModifierPlan[key];
} & { transforms: Transform[]; seen: string[] };

const ANCHORS: readonly string[] = ['contains', 'startswith', 'endswith'];
const RELATIONS: readonly string[] = ['lt', 'lte', 'gt', 'gte'];
const TIME_UNITS: readonly string[] = ['minute', 'hour', 'day', 'week', 'month', 'year'];
const ENCODINGS: readonly string[] = ['utf16le', 'utf16be', 'utf16'];
const REGEX_FLAGS: Readonly<Record<string, string>> = {
  i: 'i',
  ignorecase: 'i',
  m: 'm',
  multiline: 'm',
  s: 's',
  dotall: 's',
};

/**
 * Reads modifiers from left to right (Sigma 2.1, appendix "Modifiers"; types as in research/correlation.md 2.2): each
 * must fit what those before it have made of the value. So `base64|contains` is fine and `contains|base64` is
 * not: a value that already floats in the field cannot be encoded.
 */
export function readModifiers(modifiers: readonly string[]): ModifierPlan | ModifierRefusal {
  const state: State = {
    operator: { kind: 'text' },
    anchor: 'whole',
    transforms: [],
    expand: false,
    all: false,
    cased: false,
    negated: false,
    seen: [],
  };
  for (const written of modifiers) {
    const modifier = written === 'wide' ? 'utf16le' : written;
    const refusal = apply(modifier, state);
    if (refusal === 'unknown') {
      return { code: 'modifier_unknown', message: `'${written}' is not a Sigma modifier` };
    }
    if (refusal !== null) {
      return { code: 'modifier_combination', message: `'${modifiers.join('|')}': '${written}' ${refusal}` };
    }
    state.seen.push(modifier);
  }
  const { seen: _, ...plan } = state;
  return plan;
}

/** Null when the modifier fits, else the reason as the end of a sentence. */
function apply(modifier: string, state: State): string | null {
  const flag = Object.hasOwn(REGEX_FLAGS, modifier) ? REGEX_FLAGS[modifier] : undefined;
  if (flag !== undefined) return applyRegexFlag(flag, state);
  if (state.operator.kind === 'exists') return "cannot be combined: 'exists' stands alone";
  if (modifier !== 'base64' && state.seen.includes(modifier)) return 'is there twice';
  if (ANCHORS.includes(modifier)) return applyAnchor(modifier as PatternAnchor, state);
  if (RELATIONS.includes(modifier)) return applyRelation(modifier as Relation, state);
  if (TIME_UNITS.includes(modifier)) {
    return applyOperator({ kind: 'time', unit: modifier as TimeUnit, relation: 'eq' }, state);
  }
  if (ENCODINGS.includes(modifier) || modifier === 'base64' || modifier === 'base64offset' || modifier === 'windash') {
    return applyTransform(modifier as Transform, state);
  }
  switch (modifier) {
    case 're':
      return applyOperator({ kind: 'regex', flags: '' }, state);
    case 'cidr':
    case 'fieldref':
      return applyOperator({ kind: modifier }, state);
    case 'exists':
      if (state.seen.length > 0) return "cannot be combined: 'exists' stands alone";
      state.operator = { kind: 'exists' };
      return null;
    case 'all':
      state.all = true;
      return null;
    case 'neq':
      state.negated = true;
      return null;
    case 'cased':
      return applyCased(state);
    case 'expand':
      return applyExpand(state);
    default:
      return 'unknown';
  }
}

function applyRegexFlag(flag: string, state: State): string | null {
  if (state.operator.kind !== 'regex') return "needs 're' before it";
  if (state.operator.flags.includes(flag)) return 'is there twice';
  if (flag === 'm' && state.anchor !== 'whole' && state.anchor !== 'contains') return `cannot follow '${state.anchor}'`;
  state.operator = { kind: 'regex', flags: [...state.operator.flags, flag].sort().join('') };
  return null;
}

function applyAnchor(anchor: PatternAnchor, state: State): string | null {
  const { operator } = state;
  if (state.anchor !== 'whole') return `cannot follow '${state.anchor}'`;
  if (operator.kind !== 'text' && operator.kind !== 'regex' && operator.kind !== 'fieldref') {
    return `cannot follow '${state.seen.at(-1)}': it takes text`;
  }
  if (operator.kind === 'regex' && operator.flags.includes('m') && anchor !== 'contains') {
    return "cannot follow 'm', which gives '^' and '$' another meaning";
  }
  state.anchor = anchor;
  return null;
}

function applyRelation(relation: Relation, state: State): string | null {
  if (state.operator.kind === 'time' && state.operator.relation === 'eq') {
    state.operator = { ...state.operator, relation };
    return null;
  }
  return applyOperator({ kind: 'compare', relation }, state);
}

/** An operator takes the value as written: only placeholders may have been filled in before. */
function applyOperator(operator: Operator, state: State): string | null {
  const before = state.seen.find((modifier) => {
    const isFine = modifier === 'all' || modifier === 'neq' || modifier === 'expand';
    return !isFine && !(modifier === 'cased' && operator.kind === 'fieldref');
  });
  if (before !== undefined) return `cannot follow '${before}'`;
  if (state.expand && (operator.kind === 'compare' || operator.kind === 'time' || operator.kind === 'fieldref')) {
    return "cannot follow 'expand'";
  }
  state.operator = operator;
  return null;
}

function applyTransform(transform: Transform, state: State): string | null {
  if (state.operator.kind !== 'text') return `cannot follow '${state.seen.at(-1)}'`;
  if (transform === 'windash') {
    const encoded = state.transforms[0];
    if (encoded !== undefined) return `cannot follow '${encoded}'`;
  } else {
    const isEncoding = ENCODINGS.includes(transform);
    if (state.anchor !== 'whole') return `cannot follow '${state.anchor}': put it first`;
    const before = state.transforms.find((other) => (isEncoding ? other !== 'windash' : other === 'base64offset'));
    if (before !== undefined) return `cannot follow '${before}'`;
  }
  state.transforms.push(transform);
  return null;
}

function applyCased(state: State): string | null {
  if (state.operator.kind !== 'text' && state.operator.kind !== 'fieldref') {
    return `cannot follow '${state.seen.at(-1)}'`;
  }
  state.cased = true;
  return null;
}

function applyExpand(state: State): string | null {
  const { kind } = state.operator;
  if (kind !== 'text' && kind !== 'regex' && kind !== 'cidr') return `cannot follow '${state.seen.at(-1)}'`;
  const before = state.transforms[0];
  if (before !== undefined) return `cannot follow '${before}': fill in placeholders first`;
  state.expand = true;
  return null;
}
