import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { foldCase, foldOrbits, foldPoint } from '../case-fold.ts';
import { checkRegex, compileAutomaton, compileRegex, regexLiterals } from './index.ts';

const SEED = 20_261_126;

describe('syntax', () => {
  it.each([
    ['abc', '', 'xxabcxx', true],
    ['abc', '', 'xxABCxx', false],
    ['abc', 'i', 'xxABCxx', true],
    ['^abc$', '', 'abc', true],
    ['^abc$', '', 'abc\n', false],
    ['^b$', '', 'a\nb\nc', false],
    ['^b$', 'm', 'a\nb\nc', true],
    ['a.b', '', 'a\nb', false],
    ['a.b', 's', 'a\nb', true],
    ['a.b', '', 'a\rb', true],
    ['a.b', '', 'a\u{1f600}b', true],
    ['a..b', '', 'a\u{1f600}b', false],
    ['a(?i)b', '', 'aB', true],
    ['a(?i)b', '', 'AB', false],
    ['(?i:a)b', '', 'Ab', true],
    ['(?i:a)b', '', 'AB', false],
    ['(?i)a(?-i)b', '', 'AB', false],
    ['(?s-i:a.)b', 'i', 'a\nB', true],
    ['(?<name>a)(?P<other>b)', '', 'ab', true],
    ['a(?#a remark)b', '', 'ab', true],
    ['colou?r', '', 'color', true],
    ['a{2}', '', 'a', false],
    ['ba{2,3}c', '', 'baaac', true],
    ['ba{2,3}c', '', 'baaaac', false],
    ['ba{2,}?c', '', 'baaaaac', true],
    ['a{,2}', '', 'a{,2}', true],
    ['a{x', '', 'a{x', true],
    ['[]a]', '', ']', true],
    ['[^]a]', '', ']', false],
    ['[a-c-]', '', '-', true],
    ['[\\w-.]', '', '-', true],
    ['[[:digit:][:upper:]]', '', 'a7', true],
    ['[[:^digit:]]', '', '7', false],
    ['\\d\\D\\w\\W\\s\\S', '', '1aa- x', true],
    ['\\bfoo\\b', '', 'a foo b', true],
    ['\\bfoo\\b', '', 'afoo b', false],
    ['\\Bfoo', '', 'afoo', true],
    ['a\\b', '', 'a', true],
    ['\\Afoo\\z', '', 'foo', true],
    ['\\x41\\u0042\\x{43}\\u{1f600}', '', 'ABC\u{1f600}', true],
    ['\\uD83D\\uDE00', '', '\u{1f600}', true],
    ['\\.\\*\\\\\\/', '', '.*\\/', true],
    ['(a|b)*c', '', 'ababc', true],
    ['(a*)*b', '', 'aab', true],
    ['()', '', '', true],
    ['a||b', '', '', true],
    ['', '', 'anything', true],
    ['[^a]', 'i', 'A', false],
    ['stra\u00dfe', 'i', 'STRA\u1e9eE', true],
    ['k', 'i', '\u212a', true],
    ['\\W', 'i', '\u017f', false],
    ['\u03c3', 'i', '\u03c2', true],
  ])('/%s/%s on %j is %s', (pattern, flags, text, expected) => {
    expect(compileRegex(pattern, flags)(text)).toBe(expected);
    expect(compileAutomaton(pattern, flags)(text)).toBe(expected);
  });

  it.each([
    ['(?=a)', 'look-ahead'],
    ['(?!a)', 'look-ahead'],
    ['(?<=a)b', 'look-behind'],
    ['(?<!a)b', 'look-behind'],
    ['(a)\\1', 'back-references'],
    ['(?<n>a)\\k<n>', 'back-references'],
    ['(?P=n)', 'back-references'],
    ['(?>a)', 'atomic'],
    ['a++', 'possessive'],
    ['(?R)', 'recursion'],
    ['(?(1)a)', 'conditionals'],
    ['a**', 'quantifier'],
    ['*a', 'nothing stands before'],
    ['(a', 'never closed'],
    ['a)', 'closes no group'],
    ['[a', 'never closed'],
    ['[b-a]', 'out of order'],
    ['a{3,2}', 'out of order'],
    ['a\\', 'too early'],
    ['\\p{L}', 'not supported'],
    ['\\xZZ', 'hexadecimal'],
    ['x(a{1,500}){1,500}x', 'counts repeat'],
    [`x${'(a{1,9}b)'.repeat(1)}${'{9}'.repeat(1)}(((a{9}){9}){9}){9}x`, 'counts repeat'],
    ['xa{100000}x', 'counts repeat'],
    [`${'('.repeat(300)}a${')'.repeat(300)}`, 'nested deeper'],
    ['a'.repeat(20_001), 'longer than'],
  ])('refuses case %#', (pattern, reason) => {
    expect(checkRegex(pattern, '')).toContain(reason);
    expect(() => compileRegex(pattern, '')).toThrow(reason);
  });

  it('refuses a flag that is not i, m or s', () => {
    expect(checkRegex('a', 'g')).toContain("'g'");
  });
});

/** Patterns whose meaning JavaScript shares, so that its own engine can be the judge. */
const shared = fc.letrec<{ node: string; atom: string }>((tie) => ({
  atom: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom('a', 'b', 'ab', 'c', '[ab]', '[^a]', '\\w', '\\d', '\\u00e9', '\\x20', '[^\\n]', '-', '[a-c]'),
    // Not \B: JavaScript lets it stand between the halves of a surrogate pair.
    fc.constantFrom('^', '$', '\\b').map((text) => `(?:${text})`),
    tie('node').map((node) => `(${node})`),
  ),
  node: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc
      .array(
        fc
          .tuple(tie('atom'), fc.constantFrom('', '', '', '*', '+', '?', '{2}', '{1,3}', '{2,}', '*?', '+?'))
          .map(([atom, count]) =>
            count !== '' && (atom === 'ab' || atom.startsWith('(?:')) ? `(?:${atom})${count}` : atom + count,
          ),
        { maxLength: 4 },
      )
      .map((parts) => parts.join('')),
    fc.array(tie('node'), { minLength: 2, maxLength: 3 }).map((parts) => parts.join('|')),
  ),
})).node;
const texts = fc.array(
  fc.string({
    unit: fc.constantFrom('a', 'b', 'c', 'A', 'B', '-', ' ', '\n', '1', '\u00e9', '\u{1f600}'),
    maxLength: 12,
  }),
  { minLength: 1, maxLength: 8 },
);

describe('equal results', () => {
  it('of the automaton, the chosen engine and the engine of JavaScript', () => {
    fc.assert(
      fc.property(shared, fc.constantFrom('', 'i', 's'), texts, (pattern, flags, samples) => {
        const judge = new RegExp(pattern, `${flags}u`);
        const chosen = compileRegex(pattern, flags);
        const automaton = compileAutomaton(pattern, flags);
        const stepped = compileAutomaton(pattern, flags, 0);
        for (const text of samples) {
          const expected = judge.test(text);
          expect([text, chosen(text), automaton(text), stepped(text)]).toEqual([text, expected, expected, expected]);
        }
      }),
      { seed: SEED, numRuns: 1_200 },
    );
  }, 60_000);

  it('of states stepped as bits, over more than a word of them', () => {
    const pattern = fc
      .tuple(
        fc.constantFrom('a', '[ab]', 'a|bb'),
        fc.constantFrom('.', '[^b]', '(?:a|bc?)'),
        fc.integer({ min: 28, max: 70 }),
      )
      .map(([head, repeated, count]) => `(?:${head})${repeated}{${count}}c`);
    const text = fc.string({ unit: fc.constantFrom('a', 'a', 'b', 'c', '\u{1f600}'), minLength: 60, maxLength: 160 });
    fc.assert(
      fc.property(pattern, text, (source, sample) => {
        expect(compileAutomaton(source, '', 3)(sample)).toBe(new RegExp(source, 'u').test(sample));
      }),
      { seed: SEED, numRuns: 600 },
    );
  }, 60_000);

  it('between the halves of a surrogate pair no line starts or ends', () => {
    for (const pattern of ['a.|^$', '^$|b.', '^|a.', 'a.|$']) {
      for (const text of ['\u{1f600}', '\u{1f600}\n', '']) {
        const expected = new RegExp(pattern, 'mu').test(text);
        expect([pattern, text, compileRegex(pattern, 'm')(text)]).toEqual([pattern, text, expected]);
      }
    }
  });

  it('with the flag m, where lines end at \\n only', () => {
    fc.assert(
      fc.property(shared, texts, (pattern, samples) => {
        const judge = new RegExp(pattern, 'mu');
        const chosen = compileRegex(pattern, 'm');
        const automaton = compileAutomaton(pattern, 'm');
        for (const text of samples)
          expect([chosen(text), automaton(text)]).toEqual([judge.test(text), judge.test(text)]);
      }),
      { seed: SEED, numRuns: 600 },
    );
  }, 60_000);
});

describe('required literals', () => {
  it.each([
    ['foo.*bar', '', ['foo']],
    ['(?i)FOO|Quux', '', ['foo', 'quux']],
    ['a*', '', null],
    ['a|b*', '', null],
    ['(abc){2,}d', '', ['abcabc']],
    ['[Pp]ower[Ss]hell', '', ['powershell']],
    ['^.{3,}\\.exe$', '', ['.exe']],
    ['(?:GET|POST) /x', '', ['get /x', 'post /x']],
  ])('of %s', (pattern, flags, expected) => {
    expect(regexLiterals(pattern, flags)).toEqual(expected);
  });

  it('are in the folding of every text the pattern is found in', () => {
    fc.assert(
      fc.property(shared, fc.constantFrom('', 'i'), texts, (pattern, flags, samples) => {
        const literals = regexLiterals(pattern, flags);
        if (!literals) return;
        const search = compileRegex(pattern, flags);
        for (const text of samples) {
          if (search(text)) expect(literals.some((literal) => foldCase(text).includes(literal))).toBe(true);
        }
      }),
      { seed: SEED, numRuns: 800 },
    );
  });
});

describe('case folding', () => {
  it('puts together exactly the letters that the engine of JavaScript puts together', () => {
    const points = [...range(0, 0xd7ff), ...range(0xe000, 0x1ffff)];
    const everything = points.map((point) => String.fromCodePoint(point)).join('');
    const orbits = foldOrbits();
    expect(
      points.filter((point) => foldCase(String.fromCodePoint(point)) !== String.fromCodePoint(foldPoint(point))),
    ).toEqual([]);
    for (const point of points) {
      const char = String.fromCodePoint(point);
      if (char.toLowerCase() === char && char.toUpperCase() === char && !orbits.has(point)) continue;
      const found = [...everything.matchAll(new RegExp(`\\u{${point.toString(16)}}`, 'giu'))].map(([match]) => match);
      const ours = (orbits.get(point) ?? [point]).map((member) => String.fromCodePoint(member));
      expect(found).toEqual([...ours].sort((a, b) => (a.codePointAt(0) ?? 0) - (b.codePointAt(0) ?? 0)));
    }
  }, 60_000);

  it('does not depend on neighbours: a final sigma is a sigma', () => {
    expect(foldCase('\u039f\u0394\u039f\u03a3')).toBe(foldCase('\u03bf\u03b4\u03bf\u03c2'));
    expect(foldCase('\u0130I\u0131')).toBe('\u0130i\u0131');
  });
});

function range(first: number, last: number): readonly number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}
