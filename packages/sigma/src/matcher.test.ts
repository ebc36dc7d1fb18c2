import { describe, expect, it } from 'vitest';
import { createJsonFieldView } from './field-view.ts';
import { createEventMatcher } from './match/event-matcher.ts';
import { compileTest } from './matcher.ts';
import type { Test } from './test-tree.ts';
import { type PatternAnchor, parsePattern } from './value-pattern.ts';

/** The answer of the rule by itself and of the matcher of many rules, which must be one. */
function holds(test: Test, event: Readonly<Record<string, unknown>>): boolean {
  const alone = compileTest(test)(createJsonFieldView(event));
  const anySource = { product: null, service: null, category: null };
  const together = createEventMatcher([{ logSource: anySource, test }]).match(createJsonFieldView(event), null);
  expect(together).toEqual(alone ? [0] : []);
  return alone;
}

function text(value: string, anchor: PatternAnchor = 'whole', cased = false): Test {
  return { op: 'text', field: 'f', parts: parsePattern(value), anchor, cased };
}

describe('traps that other engines fell into', () => {
  it.each<[string, Test, unknown, boolean]>([
    ["'*' on an absent field", text('*'), undefined, false],
    ["'*' on null", text('*'), null, false],
    ["'*' on an empty string", text('*'), '', true],
    ["contains '*' on an absent field", text('*', 'contains'), undefined, false],
    ['equality without case', text('WhoAmI'), 'whoami', true],
    ['equality without case beyond ASCII', text('\u00c4B\u0421'), '\u00e4b\u0441', true],
    ['equality without case of a final sigma', text('\u039f\u03a3'), '\u03bf\u03c2', true],
    ['cased equality', text('WhoAmI', 'whole', true), 'whoami', false],
    ['null on an absent field', { op: 'null', field: 'f' }, undefined, true],
    ['null on null', { op: 'null', field: 'f' }, null, true],
    ["null on ''", { op: 'null', field: 'f' }, '', false],
    ["'' on null", text(''), null, false],
    ["'' on an absent field", text(''), undefined, false],
    ["'' on ''", text(''), '', true],
    ['wildcards inside contains', text('a*b?d', 'contains'), 'xxaYYbcdzz', true],
    ['wildcards inside contains, wrong order', text('a*b?d', 'contains'), 'bcda', false],
    ['`*` over a line end', text('a*b'), 'a\nb', true],
    ['`?` for a line end', text('a?b'), 'a\nb', true],
    ['`?` for one code point of two units', text('a?b'), 'a\u{1f600}b', true],
    ['`??` for one code point of two units', text('a??b'), 'a\u{1f600}b', false],
    ['an escaped star', text('a\\*b'), 'a*b', true],
    ['an escaped star is no wildcard', text('a\\*b'), 'axb', false],
    ['a backslash and a wildcard', text('c:\\\\*'), 'c:\\windows', true],
    ["'<' under contains", text('<', 'contains'), 'a<b', true],
    ['a number as text', text('4625'), 4625, true],
    ['a number as text under startswith', text('46', 'startswith'), 4625, true],
    ['a boolean as text', text('TRUE'), true, true],
    ['a boolean is not a number', text('1'), true, false],
    ['a text that reads as the number', text('1'), '1.0', false],
    ['any member of a list', text('b'), ['a', 'b'], true],
    ['a member of a list under not', { op: 'not', of: text('b') }, ['a', 'b'], false],
    [
      'a backslash in a regular expression',
      { op: 'regex', field: 'f', pattern: 'c:\\\\win', flags: '' },
      'c:\\win',
      true,
    ],
    ['a regular expression minds case', { op: 'regex', field: 'f', pattern: 'abc', flags: '' }, 'ABC', false],
    ['a regular expression on a number', { op: 'regex', field: 'f', pattern: '^46\\d\\d$', flags: '' }, 4625, true],
    ['exists on null', { op: 'exists', field: 'f', present: true }, null, true],
    ["exists on ''", { op: 'exists', field: 'f', present: true }, '', true],
    ['exists on an empty list', { op: 'exists', field: 'f', present: true }, [], true],
    ['not exists', { op: 'exists', field: 'f', present: false }, undefined, true],
    ['a number test on text', { op: 'compare', field: 'f', relation: 'gte', value: 10 }, '10', true],
    ['a number test on what is none', { op: 'compare', field: 'f', relation: 'lt', value: 10 }, '', false],
    ['a number test on hexadecimal', { op: 'compare', field: 'f', relation: 'gte', value: 1 }, '0x10', false],
    ['a number test on true', { op: 'compare', field: 'f', relation: 'gte', value: 1 }, true, false],
  ])('%s', (_name, test, value, expected) => {
    expect(holds(test, value === undefined ? {} : { f: value })).toBe(expected);
  });
});

describe('networks', () => {
  it.each([
    ['10.0.0.0/8', '10.255.0.1', true],
    ['10.0.0.0/8', '11.0.0.1', false],
    ['10.0.0.0/8', '::ffff:10.1.2.3', true],
    ['10.0.0.0/8', '::FFFF:0a01:0203', true],
    ['10.0.0.0/8', '10.1.2', false],
    ['10.0.0.0/8', '010.1.2.3', false],
    ['10.0.0.0/8', '10.1.2.3.4', false],
    ['10.0.0.0/8', '10.1.2.300', false],
    ['192.0.2.7/32', '192.0.2.7', true],
    ['0.0.0.0/0', '203.0.113.9', true],
    ['0.0.0.0/0', '2001:db8::1', false],
    ['2001:db8::/32', '2001:DB8:0:0:0:0:0:1', true],
    ['2001:db8::/32', '2001:db9::1', false],
    ['fe80::/10', 'fe80::1%eth0', true],
    ['::/0', '2001:db8::1', true],
    ['::/0', '10.0.0.1', false],
    ['::ffff:10.0.0.0/104', '10.9.9.9', true],
    ['::1/128', '::1', true],
    ['::1/128', ':::1', false],
    ['::1/128', '1::2::3', false],
    ['2001:db8::/33', '2001:db8:8000::1', false],
  ])('%s holds %s: %s', (network, address, expected) => {
    expect(holds({ op: 'cidr', field: 'f', network }, { f: address })).toBe(expected);
  });

  it('a test without a network is refused', () => {
    expect(() => compileTest({ op: 'cidr', field: 'f', network: '10.0.0.0/33' })).toThrow(RangeError);
  });
});

describe('parts of a time', () => {
  it.each([
    ['hour', '2024-12-30T23:30:00+05:00', 23],
    ['hour', '2024-12-30T23:30:00Z', 23],
    ['hour', '2024-12-30 07:05', 7],
    ['minute', '2024-12-30t23:59:60z', 59],
    ['minute', '2024-12-30T23:31:00.123456789-0330', 31],
    ['day', '2024-12-30T00:30:00-11:00', 30],
    ['month', '2024-12-30', 12],
    ['year', '2024-12-30', 2024],
    ['week', '2024-12-30', 1],
    ['week', '2021-01-03', 53],
    ['week', '2021-01-04', 1],
    ['week', '2020-12-31T23:59:59Z', 53],
    ['week', '2023-01-01', 52],
    ['day', '2024-02-29', 29],
    ['hour', 1_700_000_000, 22],
    ['hour', 1_700_000_000_000, 22],
    ['hour', '1700000000', 22],
    ['hour', 1_700_000_000_000_000, 22],
    ['year', 1_700_000_000_000_000_000, 2023],
  ] as const)('%s of %s is %i', (unit, value, expected) => {
    expect(holds({ op: 'time', field: 'f', unit, relation: 'eq', value: expected }, { f: value })).toBe(true);
    expect(holds({ op: 'time', field: 'f', unit, relation: 'gt', value: expected }, { f: value })).toBe(false);
  });

  it.each(['2023-02-29', '2024-13-01', '2024-00-10', '2024-01-01T24:00', 'yesterday', '', '12', null, true])(
    '%s is no time',
    (value) => {
      expect(holds({ op: 'time', field: 'f', unit: 'hour', relation: 'gte', value: 0 }, { f: value })).toBe(false);
    },
  );
});

describe('field against field', () => {
  const reference = (over: Partial<Extract<Test, { op: 'fieldref' }>> = {}): Test => ({
    op: 'fieldref',
    field: 'f',
    other: 'g',
    anchor: 'whole',
    cased: false,
    negated: false,
    ...over,
  });
  it.each<[string, Test, Readonly<Record<string, unknown>>, boolean]>([
    ['equal without case', reference(), { f: 'Ab', g: 'aB' }, true],
    ['cased', reference({ cased: true }), { f: 'Ab', g: 'aB' }, false],
    ['number and its text', reference(), { f: 1, g: '1' }, true],
    ['absent on one side', reference(), { f: 'a' }, false],
    ['absent on both sides', reference(), {}, false],
    ['startswith', reference({ anchor: 'startswith' }), { f: 'alice@example.org', g: 'ALICE' }, true],
    ['endswith', reference({ anchor: 'endswith' }), { f: 'alice', g: 'bob' }, false],
    ['contains', reference({ anchor: 'contains' }), { f: 'xaliceb', g: 'alice' }, true],
    ['any pair of members', reference(), { f: ['a', 'b'], g: ['c', 'B'] }, true],
    ['not equal', reference({ negated: true }), { f: 'a', g: 'b' }, true],
    ['not equal, one pair equal', reference({ negated: true }), { f: ['a', 'b'], g: 'b' }, false],
    ['not equal, one absent', reference({ negated: true }), { f: 'a' }, false],
    ['not equal, both null', reference({ negated: true }), { f: null, g: null }, false],
  ])('%s', (_name, test, event, expected) => {
    expect(holds(test, event)).toBe(expected);
  });
});

describe('keywords', () => {
  const keyword = (value: string, cased = false): Test => ({ op: 'keyword', parts: parsePattern(value), cased });
  it.each<[string, Test, Readonly<Record<string, unknown>>, boolean]>([
    ['in any leaf, without case', keyword('NEEDLE'), { a: { b: ['x', 'a needle here'] } }, true],
    ['cased', keyword('NEEDLE', true), { a: 'needle' }, false],
    ['in a number', keyword('462'), { a: 4625 }, true],
    ['in a boolean', keyword('true'), { a: true }, true],
    ['never in a name', keyword('needle'), { needle: 'x' }, false],
    ['not across leaves', keyword('ab'), { x: 'a', y: 'b' }, false],
    ['with a wildcard', keyword('a*c'), { x: 'xxabc' }, true],
    ['a lone wildcard needs a leaf', keyword('*'), {}, false],
    ['a lone wildcard', keyword('*'), { a: 1 }, true],
    ['a regular expression', { op: 'keyword_regex', pattern: 'n..dle$', flags: 'i' }, { a: ['x', 'NEEDLE'] }, true],
  ])('%s', (_name, test, event, expected) => {
    expect(holds(test, event)).toBe(expected);
  });
});
