import {
  ANY,
  type CharSet,
  closeUnderCase,
  DIGITS,
  NOT_NEWLINE,
  negate,
  normalize,
  POINT_MAX,
  SPACES,
  WORDS,
} from './char-set.ts';

/** A regular expression as a tree. Case-blindness and `.` are already in the sets; groups leave no trace. */
export type RegexNode =
  | { readonly kind: 'set'; readonly set: CharSet }
  | { readonly kind: 'cat' | 'alt'; readonly of: readonly RegexNode[] }
  | { readonly kind: 'repeat'; readonly of: RegexNode; readonly min: number; readonly max: number }
  | { readonly kind: 'assert'; readonly what: Assertion };

/** Zero-width conditions. Words and line ends are ASCII: `[0-9A-Za-z_]` and `\n`. */
export type Assertion = 'textStart' | 'textEnd' | 'lineStart' | 'lineEnd' | 'word' | 'notWord';

/** Why a pattern is refused, in words for the author of the rule. */
export class RegexRefusal extends Error {}

const PATTERN_LENGTH_MAX = 20_000;
const DEPTH_MAX = 200;
const COUNT_MAX = 1_000_000;

const POSIX: Readonly<Record<string, CharSet>> = {
  alnum: [0x30, 0x39, 0x41, 0x5a, 0x61, 0x7a],
  alpha: [0x41, 0x5a, 0x61, 0x7a],
  ascii: [0, 0x7f],
  blank: [0x09, 0x09, 0x20, 0x20],
  cntrl: [0, 0x1f, 0x7f, 0x7f],
  digit: DIGITS,
  graph: [0x21, 0x7e],
  lower: [0x61, 0x7a],
  print: [0x20, 0x7e],
  punct: [0x21, 0x2f, 0x3a, 0x40, 0x5b, 0x60, 0x7b, 0x7e],
  space: SPACES,
  upper: [0x41, 0x5a],
  word: WORDS,
  xdigit: [0x30, 0x39, 0x41, 0x46, 0x61, 0x66],
};
const CONTROLS: Readonly<Record<string, number>> = { t: 0x09, n: 0x0a, v: 0x0b, f: 0x0c, r: 0x0d, a: 0x07, e: 0x1b };
const CLASSES: Readonly<Record<string, CharSet>> = {
  d: DIGITS,
  w: WORDS,
  s: SPACES,
  D: negate(DIGITS),
  W: negate(WORDS),
  S: negate(SPACES),
};
const ASSERTIONS: Readonly<Record<string, Assertion>> = {
  b: 'word',
  B: 'notWord',
  A: 'textStart',
  z: 'textEnd',
  Z: 'textEnd',
};

type Flags = { readonly i: boolean; readonly m: boolean; readonly s: boolean };

/**
 * Reads a pattern. Syntax: what Perl, Python and RE2 have in common, without look-around, back-references, atomic
 * groups and possessive quantifiers. `[]a]` holds a bracket, and a `{` that opens no count is itself, as there.
 * @throws RegexRefusal
 */
export function parseRegex(pattern: string, flags: string): RegexNode {
  if (pattern.length > PATTERN_LENGTH_MAX) throw new RegexRefusal(`longer than ${PATTERN_LENGTH_MAX} characters`);
  for (const flag of flags)
    if (!'ims'.includes(flag)) throw new RegexRefusal(`the flag '${flag}' is not one of i, m, s`);
  return new Parser(pattern, { i: flags.includes('i'), m: flags.includes('m'), s: flags.includes('s') }).parse();
}

class Parser {
  readonly #points: readonly string[];
  #at = 0;
  #depth = 0;
  #flags: Flags;

  constructor(pattern: string, flags: Flags) {
    this.#points = [...pattern];
    this.#flags = flags;
  }

  parse(): RegexNode {
    const node = this.#alternation();
    if (this.#at < this.#points.length) throw new RegexRefusal("a ')' closes no group");
    return node;
  }

  #peek(text: string): boolean {
    for (let i = 0; i < text.length; i++) if (this.#points[this.#at + i] !== text[i]) return false;
    return true;
  }

  #take(text: string): boolean {
    if (!this.#peek(text)) return false;
    this.#at += text.length;
    return true;
  }

  #next(): string {
    const char = this.#points[this.#at++];
    if (char === undefined) throw new RegexRefusal('the pattern ends too early');
    return char;
  }

  #alternation(): RegexNode {
    if (++this.#depth > DEPTH_MAX) throw new RegexRefusal(`groups are nested deeper than ${DEPTH_MAX}`);
    const alternatives = [this.#sequence()];
    while (this.#take('|')) alternatives.push(this.#sequence());
    this.#depth--;
    if (alternatives.length === 1) return alternatives[0] as RegexNode;
    // `(a|b)` is `[ab]`, which has one state.
    const sets = alternatives.flatMap((part) => (part.kind === 'set' ? [part.set] : []));
    if (sets.length === alternatives.length) return { kind: 'set', set: normalize(sets.flat()) };
    return { kind: 'alt', of: alternatives };
  }

  #sequence(): RegexNode {
    const of: RegexNode[] = [];
    while (this.#at < this.#points.length && !this.#peek('|') && !this.#peek(')')) {
      const atom = this.#atom();
      if (atom) of.push(this.#quantified(atom));
    }
    return of.length === 1 ? (of[0] as RegexNode) : { kind: 'cat', of };
  }

  #quantified(atom: RegexNode): RegexNode {
    const count = this.#quantifier();
    if (!count) return atom;
    if (this.#take('+')) throw new RegexRefusal('possessive quantifiers are not supported: they need backtracking');
    // Lazy or greedy: a search that only says yes or no cannot tell.
    this.#take('?');
    const before = this.#at;
    if (this.#quantifier()) throw new RegexRefusal('a quantifier follows a quantifier');
    this.#at = before;
    return { kind: 'repeat', of: atom, ...count };
  }

  #quantifier(): { min: number; max: number } | undefined {
    if (this.#take('*')) return { min: 0, max: Number.POSITIVE_INFINITY };
    if (this.#take('+')) return { min: 1, max: Number.POSITIVE_INFINITY };
    if (this.#take('?')) return { min: 0, max: 1 };
    if (!this.#peek('{')) return undefined;
    const close = this.#points.indexOf('}', this.#at);
    const parsed = close < 0 ? null : /^(\d+)(,?)(\d*)$/.exec(this.#points.slice(this.#at + 1, close).join(''));
    if (!parsed) return undefined;
    this.#at = close + 1;
    const min = Number(parsed[1]);
    const max = parsed[2] === '' ? min : parsed[3] === '' ? Number.POSITIVE_INFINITY : Number(parsed[3]);
    if (max < min) throw new RegexRefusal(`the counts of '{${parsed[0]}}' are out of order`);
    if (min > COUNT_MAX || (max > COUNT_MAX && max !== Number.POSITIVE_INFINITY)) {
      throw new RegexRefusal(`a count above ${COUNT_MAX}`);
    }
    return { min, max };
  }

  /** One unit, or nothing for a bare `(?i)`. */
  #atom(): RegexNode | undefined {
    const char = this.#next();
    switch (char) {
      case '.':
        return { kind: 'set', set: this.#flags.s ? ANY : NOT_NEWLINE };
      case '^':
        return { kind: 'assert', what: this.#flags.m ? 'lineStart' : 'textStart' };
      case '$':
        return { kind: 'assert', what: this.#flags.m ? 'lineEnd' : 'textEnd' };
      case '(':
        return this.#group();
      case '[':
        return { kind: 'set', set: this.#bracket() };
      case '\\':
        return this.#escape();
      case '*':
      case '+':
      case '?':
        throw new RegexRefusal(`nothing stands before '${char}'`);
      default:
        return this.#literal(char.codePointAt(0) ?? 0);
    }
  }

  #literal(point: number): RegexNode {
    const set = [point, point];
    return { kind: 'set', set: this.#flags.i ? closeUnderCase(set) : set };
  }

  #group(): RegexNode | undefined {
    const outer = this.#flags;
    if (this.#take('?')) {
      if (this.#peek('=') || this.#peek('!') || this.#peek('<=') || this.#peek('<!')) {
        throw new RegexRefusal('look-ahead and look-behind are not supported: they cannot be matched in linear time');
      }
      if (this.#take('>')) throw new RegexRefusal('atomic groups are not supported: they need backtracking');
      if (this.#take('#')) {
        while (this.#next() !== ')');
        return undefined;
      }
      if (this.#take('P<') || this.#take('<')) this.#groupName();
      else if (this.#peek('P') || this.#peek('(') || this.#peek('|') || this.#peek('&') || this.#peek('R')) {
        throw new RegexRefusal('back-references, conditionals and recursion are not supported');
      } else if (this.#groupFlags()) return undefined;
    } else if (this.#take('*')) throw new RegexRefusal("'(*' verbs are not supported");
    const inner = this.#alternation();
    if (!this.#take(')')) throw new RegexRefusal("a '(' is never closed");
    this.#flags = outer;
    // The wrapper keeps `(a*)*` apart from `a**`.
    return inner;
  }

  #groupName(): void {
    let name = '';
    for (let char = this.#next(); char !== '>'; char = this.#next()) name += char;
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) throw new RegexRefusal('a group has an invalid name');
  }

  /** `i-ms:` opens a group with these flags (false); `i)` sets them to the end of the enclosing group (true). */
  #groupFlags(): boolean {
    let on = true;
    const flags = { ...this.#flags };
    for (;;) {
      const char = this.#next();
      if (char === 'i' || char === 'm' || char === 's') flags[char] = on;
      else if (char === '-' && on) on = false;
      else if (char === ':' || char === ')') {
        this.#flags = flags;
        return char === ')';
      } else throw new RegexRefusal(`'(?${char}' is not supported`);
    }
  }

  #escape(): RegexNode {
    const char = this.#points[this.#at] ?? '';
    const what = ASSERTIONS[char];
    if (what !== undefined) {
      this.#at++;
      return { kind: 'assert', what };
    }
    const set = this.#escapedClass();
    if (set) return { kind: 'set', set };
    if (/[1-9]/.test(char) || char === 'k' || char === 'g') {
      throw new RegexRefusal('back-references are not supported: they cannot be matched in linear time');
    }
    return this.#literal(this.#escapedPoint());
  }

  #escapedClass(): CharSet | undefined {
    const char = this.#points[this.#at] ?? '';
    const set = CLASSES[char];
    if (!set) return undefined;
    this.#at++;
    if (!this.#flags.i) return set;
    return char === 'W' ? negate(closeUnderCase(WORDS)) : closeUnderCase(set);
  }

  /** The code point an escape stands for. */
  #escapedPoint(): number {
    const char = this.#next();
    if (char === 'x') return this.#hexadecimal(2);
    if (char === 'u') return this.#unicode();
    if (char === '0') {
      if (/[0-9]/.test(this.#points[this.#at] ?? ''))
        throw new RegexRefusal('octal escapes are not supported: use \\xHH');
      return 0;
    }
    const control = CONTROLS[char];
    if (control !== undefined) return control;
    if (/[A-Za-z0-9]/.test(char)) throw new RegexRefusal(`the escape '\\${char}' is not supported`);
    return char.codePointAt(0) ?? 0;
  }

  #unicode(): number {
    const high = this.#hexadecimal(4);
    if (high < 0xd800 || high > 0xdbff || !this.#peek('\\u')) return high;
    const before = this.#at;
    this.#at += 2;
    const low = this.#hexadecimal(4);
    if (low >= 0xdc00 && low <= 0xdfff) return (high - 0xd800) * 0x400 + (low - 0xdc00) + 0x10000;
    this.#at = before;
    return high;
  }

  #hexadecimal(digits: number): number {
    let text = '';
    if (this.#take('{')) for (let char = this.#next(); char !== '}'; char = this.#next()) text += char;
    else for (let i = 0; i < digits; i++) text += this.#next();
    const point = /^[0-9A-Fa-f]{1,6}$/.test(text) ? Number.parseInt(text, 16) : Number.NaN;
    if (!(point <= POINT_MAX)) throw new RegexRefusal('a \\x or \\u escape needs hexadecimal digits');
    return point;
  }

  #bracket(): CharSet {
    const negated = this.#take('^');
    const ranges: number[] = [];
    for (let first = true; first || !this.#peek(']'); first = false) {
      if (this.#at >= this.#points.length) throw new RegexRefusal("a '[' is never closed");
      const low = this.#member(ranges);
      if (!this.#peek('-') || this.#points[this.#at + 1] === ']') {
        if (low !== undefined) ranges.push(low, low);
        continue;
      }
      this.#at++;
      const high = this.#member(ranges);
      if (low === undefined || high === undefined) {
        // `[\w-.]`: the dash is itself beside a class.
        ranges.push(0x2d, 0x2d);
        const point = low ?? high;
        if (point !== undefined) ranges.push(point, point);
      } else if (high < low) throw new RegexRefusal('the ends of a range are out of order');
      else ranges.push(low, high);
    }
    this.#at++;
    const set = normalize(ranges);
    const closed = this.#flags.i ? closeUnderCase(set) : set;
    return negated ? negate(closed) : closed;
  }

  /** One member of a bracket: its code point, or undefined for a class, whose ranges are then added. */
  #member(ranges: number[]): number | undefined {
    if (this.#peek('[:')) {
      const rest = /^\[:(\^?)([a-z]+):\]/.exec(this.#points.slice(this.#at, this.#at + 12).join(''));
      const set = rest && POSIX[rest[2] ?? ''];
      if (rest && set) {
        this.#at += rest[0].length;
        ranges.push(...(rest[1] === '^' ? negate(set) : set));
        return undefined;
      }
    }
    const char = this.#next();
    if (char !== '\\') return char.codePointAt(0) ?? 0;
    if (this.#take('b')) return 0x08;
    const set = this.#escapedClass();
    if (!set) return this.#escapedPoint();
    ranges.push(...set);
    return undefined;
  }
}
