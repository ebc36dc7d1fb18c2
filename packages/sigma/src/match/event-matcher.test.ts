import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createJsonFieldView, type FieldView, type LogSource } from '../field-view.ts';
import { compileTest } from '../matcher.ts';
import type { Test } from '../test-tree.ts';
import { parsePattern } from '../value-pattern.ts';
import { covers, createEventMatcher, type MatcherRule } from './event-matcher.ts';

const SEED = 20_261_126;
const FIELDS = ['a', 'b', 'c.d', 'ip', 'at'] as const;

const field = fc.constantFrom(...FIELDS);
const pattern = fc
  .string({
    unit: fc.constantFrom('a', 'b', 'B', '*', '?', '1', '\u00e9', '\u03c3', '\u03a3', '\u{1f600}'),
    maxLength: 4,
  })
  .map(parsePattern);
const regexPattern = fc.constantFrom('ab', 'a.*b', '^a', 'b$', '[ab]1', '(ab|ba)+', 'a?', '\\d+', '(?i)AB', 'a{2}');
const flags = fc.constantFrom('', 'i', 's');
const leaf: fc.Arbitrary<Test> = fc.oneof(
  fc.record({
    op: fc.constant('text' as const),
    field,
    parts: pattern,
    anchor: fc.constantFrom('whole' as const, 'contains' as const, 'startswith' as const, 'endswith' as const),
    cased: fc.boolean(),
  }),
  fc.record({ op: fc.constant('exists' as const), field, present: fc.boolean() }),
  fc.record({ op: fc.constant('null' as const), field }),
  fc.record({
    op: fc.constant('compare' as const),
    field,
    relation: fc.constantFrom('lt' as const, 'lte' as const, 'gt' as const, 'gte' as const),
    value: fc.integer({ min: 0, max: 3 }),
  }),
  fc.record({ op: fc.constant('regex' as const), field, pattern: regexPattern, flags }),
  fc.record({
    op: fc.constant('cidr' as const),
    field: fc.constant('ip'),
    network: fc.constantFrom(
      '10.0.0.0/8',
      '10.1.0.0/16',
      '0.0.0.0/0',
      '10.1.2.3/32',
      '::/0',
      'fe80::/10',
      '::ffff:10.0.0.0/104',
    ),
  }),
  fc.record({
    op: fc.constant('fieldref' as const),
    field,
    other: field,
    anchor: fc.constantFrom('whole' as const, 'contains' as const, 'startswith' as const, 'endswith' as const),
    cased: fc.boolean(),
    negated: fc.boolean(),
  }),
  fc.record({
    op: fc.constant('time' as const),
    field: fc.constant('at'),
    unit: fc.constantFrom('hour' as const, 'week' as const, 'day' as const),
    relation: fc.constantFrom('eq' as const, 'lt' as const, 'gte' as const),
    value: fc.integer({ min: 0, max: 31 }),
  }),
  fc.record({ op: fc.constant('keyword' as const), parts: pattern, cased: fc.boolean() }),
  fc.record({ op: fc.constant('keyword_regex' as const), pattern: regexPattern, flags }),
);
const test = fc.letrec<{ tree: Test }>((tie) => ({
  tree: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    leaf,
    fc.record({
      op: fc.constantFrom('and' as const, 'or' as const),
      of: fc.array(tie('tree'), { minLength: 1, maxLength: 6 }),
    }),
    fc.record({ op: fc.constant('not' as const), of: tie('tree') }),
  ),
})).tree;
const part = fc.constantFrom('x', 'X', 'y', null);
const logSource: fc.Arbitrary<LogSource> = fc.record({ product: part, service: part, category: part });
const text = fc.string({
  unit: fc.constantFrom('a', 'b', 'A', 'B', '1', '\n', '\u00c9', '\u03c2', '\u{1f600}'),
  maxLength: 6,
});
const scalar = fc.oneof(text, text, fc.constantFrom(null, true, false, 0, 1, 2.5, -1));
const value = fc.oneof(scalar, scalar, fc.array(scalar, { maxLength: 3 }));
const event = fc.record(
  {
    a: value,
    b: value,
    c: fc.oneof(fc.record({ d: value }), fc.array(fc.record({ d: value }), { maxLength: 2 })),
    ip: fc.constantFrom(
      '10.1.2.3',
      '10.9.9.9',
      '::ffff:10.1.2.3',
      'fe80::1',
      '2001:db8::1',
      '8.8.8.8',
      'no',
      '010.1.2.3',
    ),
    at: fc.constantFrom<unknown>(
      '2024-12-30T23:30:00+05:00',
      1_700_000_000,
      1_700_000_000_000,
      '2021-01-03',
      'never',
      null,
    ),
  },
  { requiredKeys: [] },
);

/** A view without `lookup`, as other packages have it. */
function plainView(json: Readonly<Record<string, unknown>>): FieldView {
  const view = createJsonFieldView(json);
  return { values: (name) => view.values(name), keywords: () => view.keywords() };
}

describe('the matcher of many rules', () => {
  it('gives what each rule gives by itself, for any rules and events', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ logSource, test }), { maxLength: 12 }),
        fc.array(fc.tuple(event, fc.option(logSource)), { minLength: 1, maxLength: 6 }),
        (rules: readonly MatcherRule[], events) => {
          const matchers = [1_024, 2, 0].map((remembered) => createEventMatcher(rules, { remembered }));
          const alone = rules.map((rule) => compileTest(rule.test));
          // Each event comes again after all others: known values, and values whose place another took.
          for (const [json, source] of [...events, ...events]) {
            const expected = rules.flatMap((rule, index) =>
              (!source || covers(rule.logSource, source)) && alone[index]?.(createJsonFieldView(json)) ? [index] : [],
            );
            for (const matcher of matchers) expect(matcher.match(createJsonFieldView(json), source)).toEqual(expected);
            expect(matchers[0]?.match(plainView(json), source)).toEqual(expected);
          }
        },
      ),
      { seed: SEED, numRuns: 1_500 },
    );
  }, 60_000);

  it('finds nested and dotted fields among many', () => {
    const any = { product: null, service: null, category: null };
    const names = [...Array.from({ length: 30 }, (_, index) => `n${index}`), 'a.b.c', 'a.b', 'x'];
    const rules = names.map(
      (name): MatcherRule => ({
        logSource: any,
        test: { op: 'text', field: name, parts: parsePattern('v'), anchor: 'whole', cased: false },
      }),
    );
    const matcher = createEventMatcher(rules);
    const matched = (json: Record<string, unknown>): readonly string[] =>
      matcher.match(createJsonFieldView(json), null).map((index) => names[index] ?? '');
    expect(matched({ 'a.b.c': 'v' })).toEqual(['a.b.c']);
    expect(matched({ 'a.b': { c: 'v' }, n3: 'v' })).toEqual(['n3', 'a.b.c']);
    expect(matched({ a: { 'b.c': ['v'], b: 'v' } })).toEqual(['a.b.c', 'a.b']);
    expect(matched({ a: [{ b: [{ c: 'v' }] }], x: 'v' })).toEqual(['a.b.c', 'x']);
    expect(matched({ y: 'v' })).toEqual([]);
  });

  it('names every field a rule looks at, and whether some rule looks at all', () => {
    const any = { product: null, service: null, category: null };
    const equal = (name: string): Test => ({
      op: 'text',
      field: name,
      parts: parsePattern('x'),
      anchor: 'whole',
      cased: false,
    });
    const rules = [
      { logSource: any, test: { op: 'not', of: equal('a') } as const },
      { logSource: any, test: { op: 'and', of: [equal('b'), { op: 'or', of: [equal('c'), equal('a')] }] } as const },
    ];
    expect([...createEventMatcher(rules).fields].sort()).toEqual(['a', 'b', 'c']);
    expect(createEventMatcher(rules).readsAllFields).toBe(false);
    const keyword = { logSource: any, test: { op: 'keyword', parts: parsePattern('x'), cased: false } as const };
    expect(createEventMatcher([...rules, keyword]).readsAllFields).toBe(true);
  });

  it('looks at the fields of candidates only: an event without witnesses costs one look per indexed field', () => {
    const any = { product: null, service: null, category: null };
    const rules = Array.from({ length: 100 }, (_, index) => ({
      logSource: any,
      test: {
        op: 'and',
        of: [
          { op: 'text', field: 'type', parts: parsePattern(`t${index}`), anchor: 'whole', cased: false },
          {
            op: 'not',
            of: { op: 'text', field: `f${index}`, parts: parsePattern('x'), anchor: 'contains', cased: false },
          },
        ],
      } as const,
    }));
    const matcher = createEventMatcher(rules);
    const looked: string[] = [];
    const view = (type: string): FieldView => ({
      values: (name) => {
        looked.push(name);
        return name === 'type' ? [type] : undefined;
      },
      keywords: () => [],
    });
    expect(matcher.match(view('t7'), null)).toEqual([7]);
    expect(looked).toEqual(['type', 'f7']);
    looked.length = 0;
    expect(matcher.match(view('other'), null)).toEqual([]);
    expect(looked).toEqual(['type']);
  });

  it('remembers values without changing answers, even when they never repeat', () => {
    const any = { product: null, service: null, category: null };
    const test: Test = { op: 'text', field: 'a', parts: parsePattern('77'), anchor: 'contains', cased: false };
    const matcher = createEventMatcher([{ logSource: any, test }]);
    for (let i = 0; i < 20_000; i++) {
      const expected = String(i).includes('77') ? [0] : [];
      if (matcher.match(createJsonFieldView({ a: i % 2 === 0 ? i : `${i}` }), null).length !== expected.length) {
        expect.fail(`wrong at ${i}`);
      }
    }
  });

  it('asks only what the witness leaves open, also of parts inside parts', () => {
    const any = { product: null, service: null, category: null };
    const equal = (field: string, text: string): Test => ({
      op: 'text',
      field,
      parts: parsePattern(text),
      anchor: 'whole',
      cased: false,
    });
    const either: Test = { op: 'or', of: [equal('b', 'y'), { op: 'and', of: [equal('b', 'z'), equal('d', '1')] }] };
    const test: Test = { op: 'and', of: [equal('c', 'q'), { op: 'and', of: [equal('a', 'x'), either] }] };
    const matcher = createEventMatcher([{ logSource: any, test }]);
    const holds = compileTest(test);
    for (const a of ['x', 'no', undefined]) {
      for (const b of ['y', 'z', 'no']) {
        for (const c of ['q', 'no']) {
          for (const d of ['1', undefined]) {
            const event = { a, b, c, d };
            const expected = holds(createJsonFieldView(event)) ? [0] : [];
            expect(matcher.match(createJsonFieldView(event), null)).toEqual(expected);
          }
        }
      }
    }
  });
});

describe('a watch', () => {
  const whole = (name: string, text: string): Test => ({
    op: 'text',
    field: name,
    parts: parsePattern(text),
    anchor: 'whole',
    cased: false,
  });
  const anySource: LogSource = { product: null, service: null, category: null };
  const rules: readonly MatcherRule[] = [
    { logSource: anySource, test: whole('type', 'login') },
    { logSource: anySource, test: { op: 'and', of: [whole('type', 'login'), { op: 'not', of: whole('bad', 'x') }] } },
    { logSource: anySource, test: { op: 'and', of: [whole('type', 'login'), { op: 'not', of: whole('bad', 'y') }] } },
  ];
  /** A view whose field `bad` cannot be read the first `throws` times. */
  const brokenView = (bad: string, throws: number): FieldView => {
    let left = throws;
    return {
      values: (name) => {
        if (name === 'type') return ['login'];
        if (name !== 'bad') return undefined;
        if (left-- > 0) throw new RangeError('broken');
        return [bad];
      },
      keywords: () => [],
    };
  };

  it('isolates a rule that throws: the others answer, and nothing of the event before is taken for this one', () => {
    const matcher = createEventMatcher(rules);
    const failed: number[] = [];
    const watch = { failed: (rule: number) => void failed.push(rule) };
    expect(matcher.match(brokenView('x', 0), null, watch)).toEqual([0, 2]);
    // Rule 1 fails on the field; rule 2 reads it anew and must not see the 'x' of the event before.
    expect(matcher.match(brokenView('y', 1), null, watch)).toEqual([0]);
    expect(failed).toEqual([1]);
    expect(matcher.match(brokenView('y', 0), null, watch)).toEqual([0, 1]);
    expect(() => matcher.match(brokenView('y', 9), null)).toThrow('broken');
    expect(matcher.match(brokenView('z', 0), null)).toEqual([0, 1, 2]);
  });

  it('times each rule that is asked, those that throw too', () => {
    let nowMs = 0;
    const spent: [rule: number, ms: number][] = [];
    const timer = { now: () => nowMs++, spent: (rule: number, ms: number) => void spent.push([rule, ms]) };
    const matcher = createEventMatcher(rules);
    expect(matcher.match(brokenView('y', 1), null, { failed: () => undefined, timer })).toEqual([0]);
    expect(spent).toEqual([
      [0, 1],
      [1, 1],
      [2, 1],
    ]);
  });
});
