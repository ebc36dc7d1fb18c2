import { compilePattern, parsePattern } from './value-pattern.ts';

/** Syntax tree of a detection condition (Sigma 2.1, "Condition"). */
export type Condition =
  | { readonly kind: 'and' | 'or'; readonly of: readonly Condition[] }
  | { readonly kind: 'not'; readonly of: Condition }
  | { readonly kind: 'selection'; readonly name: string; readonly at: number }
  | { readonly kind: 'quantified'; readonly all: boolean; readonly pattern: string; readonly at: number };

/** Raised with the offset inside the condition's text; the caller knows where that text stands. */
export class ConditionSyntaxError extends Error {
  readonly at: number;
  constructor(message: string, at: number) {
    super(message);
    this.name = 'ConditionSyntaxError';
    this.at = at;
  }
}

type Token = { readonly text: string; readonly at: number };

/** Deepest nesting of parentheses and `not`; SigmaHQ's deepest is below 10. */
const NESTING_MAX = 100;

/**
 * Grammar, loosest first: or, and, not, `1|any|all of pattern|them`, parentheses. Key words are read in any case.
 * The pipe of old aggregations (`| count() by`) is refused with the way out.
 */
export function parseCondition(source: string): Condition {
  const tokens = tokenize(source);
  let next = 0;
  let depth = 0;
  const end: Token = { text: '', at: source.length };
  const peek = (): Token => tokens[next] ?? end;
  const word = (): string => peek().text.toLowerCase();
  const fail = (message: string, token: Token): never => {
    throw new ConditionSyntaxError(message, token.at);
  };

  function or(): Condition {
    const of = [and()];
    while (word() === 'or') {
      next++;
      of.push(and());
    }
    return of.length === 1 ? (of[0] as Condition) : { kind: 'or', of };
  }

  function and(): Condition {
    const of = [not()];
    while (word() === 'and') {
      next++;
      of.push(not());
    }
    return of.length === 1 ? (of[0] as Condition) : { kind: 'and', of };
  }

  function not(): Condition {
    if (word() !== 'not') return primary();
    if (++depth > NESTING_MAX) fail(`more than ${NESTING_MAX} levels deep`, peek());
    next++;
    const of = not();
    depth--;
    return { kind: 'not', of };
  }

  function primary(): Condition {
    const token = peek();
    if (token.text === '') fail('a selection name is missing at the end', token);
    if (token.text === '(') return parenthesised();
    if (token.text === ')') fail('a parenthesis is closed that was not opened', token);
    if (['and', 'or', 'of', 'them'].includes(word())) fail(`'${token.text}' cannot stand here`, token);
    if (tokens[next + 1]?.text.toLowerCase() === 'of') return quantified();
    next++;
    if (token.text.includes('*')) fail(`'${token.text}' needs '1 of' or 'all of' before it`, token);
    return { kind: 'selection', name: token.text, at: token.at };
  }

  function parenthesised(): Condition {
    if (++depth > NESTING_MAX) fail(`more than ${NESTING_MAX} levels deep`, peek());
    const open = peek();
    next++;
    const inner = or();
    if (peek().text !== ')') fail('a parenthesis is not closed', open);
    next++;
    depth--;
    return inner;
  }

  function quantified(): Condition {
    const quantifier = peek();
    const all = word() === 'all';
    if (!all && word() !== '1' && word() !== 'any') {
      fail(`'${quantifier.text} of' is not in Sigma: use '1 of', 'any of' or 'all of'`, quantifier);
    }
    next += 2;
    const pattern = peek();
    if (!/^[\w*-]+$/.test(pattern.text)) fail("a selection pattern or 'them' is missing after 'of'", pattern);
    next++;
    return {
      kind: 'quantified',
      all,
      pattern: pattern.text.toLowerCase() === 'them' ? 'them' : pattern.text,
      at: pattern.at,
    };
  }

  const condition = or();
  const rest = peek();
  if (rest.text === '|') {
    fail('aggregations after a pipe are Sigma 1: write a correlation rule (event_count, value_count) instead', rest);
  }
  if (rest.text !== '') fail(`'${rest.text}' was not expected here`, rest);
  return condition;
}

function tokenize(source: string): readonly Token[] {
  const tokens: Token[] = [];
  const shape = /\s+|[()|]|[\w*-]+/y;
  let at = 0;
  while (at < source.length) {
    shape.lastIndex = at;
    const text = shape.exec(source)?.[0];
    if (text === undefined) throw new ConditionSyntaxError(`'${source[at]}' cannot stand in a condition`, at);
    if (text.trim() !== '') tokens.push({ text, at });
    at += text.length;
  }
  return tokens;
}

/**
 * Names of selections that a pattern stands for. `them` and patterns leave out names that begin with `_`,
 * unless the pattern itself begins with one.
 */
export function selectionsOf(pattern: string, names: readonly string[]): readonly string[] {
  if (pattern === 'them') return names.filter((name) => !name.startsWith('_'));
  const test = compilePattern(parsePattern(pattern), true);
  return names.filter((name) => test(name) && (pattern.startsWith('_') || !name.startsWith('_')));
}
