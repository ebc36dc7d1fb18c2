import { Buffer } from 'node:buffer';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { detection, load, problemsOf, showTest, testOf } from './rule-text.fixture.ts';

const LISTS = {
  expand: {
    dc: ['DC1', 'DC*'],
    user: ['ann', 'bob'],
    net: ['10.0.0.0/8'],
    none: [],
    odd: ['a.b'],
    all: ['\\^$.*+?()[]{}|/-'],
  },
};

describe('modifiers become operators', () => {
  it.each([
    ["f|contains: 'a'", 'f|contains=a'],
    ["f|startswith: 'a*b'", 'f|startswith=a<*>b'],
    ["f|endswith|cased: 'a'", 'f|endswith|cased=a'],
    ["f|cased|endswith: 'a'", 'f|endswith|cased=a'],
    ['f|contains|all: [a, b]', '(f|contains=a and f|contains=b)'],
    ['f|all|contains: [a, b]', '(f|contains=a and f|contains=b)'],
    ['f|neq: [a, b]', 'not (f=a or f=b)'],
    ['f|neq: [a, null]', 'not (f=a or f=null)'],
    ['f: [a, null, "", 5, true]', '(f=a or f=null or f= or f=5 or f=true)'],
    ['f|exists: true', 'f exists'],
    ['f|exists: false', 'f absent'],
    ['f|gte: 5', 'f gte 5'],
    ["f|lt: '1.5e1'", 'f lt 15'],
    ['f|hour: 3', 'hour(f) eq 3'],
    ['f|week|gte: 20', 'week(f) gte 20'],
    ['f|year|neq: 2020', 'not year(f) eq 2020'],
    ['f|fieldref: g', 'f whole g'],
    ['f|fieldref|endswith|cased: g', 'f endswith|cased g'],
    ['f|fieldref: [g, h]', '(f whole g or f whole h)'],
    ["f|re: 'a\\.b'", 'f~/a\\.b/'],
    ['f|re|i: a', 'f~/a/i'],
    ['f|re|dotall|ignorecase|multiline: a', 'f~/a/ims'],
    ['f|re|contains: a', 'f~/a/'],
    ['f|re|startswith: a|b', 'f~/^(?:a|b)/'],
    ['f|re|endswith: a', 'f~/(?:a)$/'],
    ['f|re|startswith: "(?i)a|b"', 'f~/(?i)^(?:a|b)/'],
    ['f|re|neq: a', 'not f~/a/'],
    ["'|re': [a, b]", '(keyword~/a/ or keyword~/b/)'],
    ["'|all': [a, 7]", '(keyword=a and keyword=7)'],
    ["'|contains|all': [a, b]", '(keyword=a and keyword=b)'],
    ["'|cased': a", 'keyword|cased=a'],
    ["f|contains: '<'", 'f|contains=<'],
  ])('%s', (item, wanted) => {
    expect(showTest(testOf(item))).toBe(wanted);
  });

  it('P9 neq of a list denies all of it', () => {
    expect(showTest(testOf('f|neq: [a, b]'))).toBe('not (f=a or f=b)');
  });

  it('P10 neq of a field reference needs both fields and denies each', () => {
    expect(showTest(testOf('f|fieldref|neq: g'))).toBe('f !whole g');
    expect(showTest(testOf('f|neq|fieldref: [g, h]'))).toBe('(f !whole g and f !whole h)');
  });

  it('P11 exists is presence, whatever the value', () => {
    expect(testOf('f|exists: true')).toEqual({ op: 'exists', field: 'f', present: true });
  });

  it.each([
    ['10.1.2.3/8', '10.0.0.0/8'],
    ['192.168.1.77', '192.168.1.77/32'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['10.255.255.255/9', '10.128.0.0/9'],
    ['2001:DB8:0:0:1:0:0:1/64', '2001:db8::/64'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1/128'],
    ['::/0', '::/0'],
    ['fe80::1:2:3/10', 'fe80::/10'],
    ['::ffff:10.1.2.3/104', '::ffff:a00:0/104'],
  ])('cidr %s clears host bits', (text, network) => {
    expect(testOf(`f|cidr: '${text}'`)).toEqual({ op: 'cidr', field: 'f', network });
  });
});

describe('modifiers rewrite values, from left to right', () => {
  it.each([
    ['f|base64: foobar', 'f=Zm9vYmFy'],
    ['f|base64|contains: foobar', 'f|contains=Zm9vYmFy'],
    ['f|base64offset|contains: foobar', '(f|contains=Zm9vYmFy or f|contains=Zvb2Jhc or f|contains=mb29iYX)'],
    ['f|base64offset: /bin/bash', '(f|contains=L2Jpbi9iYXNo or f|contains=9iaW4vYmFza or f|contains=vYmluL2Jhc2)'],
    ['f|wide|base64: foo', 'f=ZgBvAG8A'],
    ['f|utf16le|base64: foo', 'f=ZgBvAG8A'],
    ['f|utf16be|base64: foo', 'f=AGYAbwBv'],
    ['f|utf16|base64: foo', 'f=//5mAG8AbwA='],
    ['f|base64|base64: a', 'f=WVE9PQ=='],
    ['f|wide|contains: "a*b"', 'f|contains=a\0<*>b\0'],
    ["'|base64': foobar", 'keyword=Zm9vYmFy'],
  ])('%s', (item, wanted) => {
    expect(showTest(testOf(item))).toBe(wanted);
  });

  it('base64offset finds the text at every offset of any text around it', () => {
    fc.assert(
      fc.property(
        fc.string({ minLength: 2, maxLength: 12, unit: 'grapheme-ascii' }).filter((text) => !/[*?\\]/.test(text)),
        fc.string({ maxLength: 7 }),
        fc.string({ maxLength: 7 }),
        (text, before, after) => {
          const test = testOf(`f|base64offset|contains: ${JSON.stringify(text)}`);
          const hay = Buffer.from(before + text + after).toString('base64');
          const texts = test.op === 'or' ? test.of : [test];
          const isFound = texts.some(
            (one) =>
              one.op === 'text' &&
              hay.includes(one.parts.map((part) => (part.kind === 'text' ? part.text : '')).join('')),
          );
          expect(isFound).toBe(true);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('windash takes a dash or slash that begins an option, in five forms', () => {
    expect(showTest(testOf("f|windash|contains: ' -x'"))).toBe(
      '(f|contains= -x or f|contains= /x or f|contains= –x or f|contains= —x or f|contains= ―x)',
    );
    expect(showTest(testOf("f|contains|windash: 'a-b - c'"))).toBe('f|contains=a-b - c');
    const both = testOf("f|contains|windash: '-a /b'");
    expect(both.op === 'or' && both.of.length).toBe(25);
    expect(showTest(testOf("f|contains|all|windash: [' -a', x]"))).toMatch(
      /^\(\(f\|contains= -a or .*\) and f\|contains=x\)$/,
    );
    expect(showTest(testOf("f|windash|base64: '-a'"))).toContain('f=LWE=');
  });

  it.each([
    ['f|expand: "%dc%"', '(f=DC1 or f=DC<*>)'],
    [
      'f|expand|contains: "%user%@%dc%"',
      '(f|contains=ann@DC1 or f|contains=ann@DC<*> or f|contains=bob@DC1 or f|contains=bob@DC<*>)',
    ],
    ["f|contains|expand: '\\\\%user%\\\\'", '(f|contains=\\ann\\ or f|contains=\\bob\\)'],
    ["f|expand: '\\%user%'", 'f=%user%'],
    ["f|expand: '100% %'", 'f=100% %'],
    ["f: '%user%'", 'f=%user%'],
    ["f|expand|cidr: '%net%'", 'f in 10.0.0.0/8'],
    ["f|re|expand: '^%odd%$'", 'f~/^a\\.b$/'],
    ["f|re|expand: '%all%'", 'f~/\\\\\\^\\$\\.\\*\\+\\?\\(\\)\\[\\]\\{\\}\\|\\/\\-/'],
    ["f|expand|base64: '%user%'", '(f=YW5u or f=Ym9i)'],
    ["'|expand': ['%user%', x]", '((keyword=ann or keyword=bob) or keyword=x)'],
  ])('%s', (item, wanted) => {
    expect(showTest(testOf(item, LISTS))).toBe(wanted);
  });
});

describe('what cannot be run is refused with its place', () => {
  it.each([
    ['f|nope: a', 'modifier_unknown', 'nope'],
    ['f|toString: a', 'modifier_unknown', 'toString'],
    ['f|: a', 'modifier_unknown', "''"],
    ['f|contains|startswith: a', 'modifier_combination', "'startswith' cannot follow 'contains'"],
    ['f|contains|contains: a', 'modifier_combination', 'twice'],
    ['f|contains|base64: a', 'modifier_combination', 'put it first'],
    ['f|contains|re: a', 'modifier_combination', "cannot follow 'contains'"],
    ['f|contains|fieldref: a', 'modifier_combination', "cannot follow 'contains'"],
    ['f|base64offset|base64: a', 'modifier_combination', "cannot follow 'base64offset'"],
    ['f|base64|wide: a', 'modifier_combination', "cannot follow 'base64'"],
    ['f|base64|windash: a', 'modifier_combination', "cannot follow 'base64'"],
    ['f|base64|re: a', 'modifier_combination', "cannot follow 'base64'"],
    ['f|i: a', 'modifier_combination', "needs 're'"],
    ['f|re|i|i: a', 'modifier_combination', 'twice'],
    ['f|re|i|ignorecase: a', 'modifier_combination', 'twice'],
    ['f|re|cased: a', 'modifier_combination', "cannot follow 're'"],
    ['f|re|m|startswith: a', 'modifier_combination', "'m'"],
    ['f|re|gt: 1', 'modifier_combination', "cannot follow 're'"],
    ['f|gt|lt: 1', 'modifier_combination', "cannot follow 'gt'"],
    ['f|gt|contains: 1', 'modifier_combination', "cannot follow 'gt'"],
    ['f|gt|hour: 1', 'modifier_combination', "cannot follow 'gt'"],
    ['f|cidr|contains: 10.0.0.0/8', 'modifier_combination', "cannot follow 'cidr'"],
    ['f|cidr|cased: 10.0.0.0/8', 'modifier_combination', "cannot follow 'cidr'"],
    ['f|exists|neq: true', 'modifier_combination', 'stands alone'],
    ['f|neq|exists: true', 'modifier_combination', 'stands alone'],
    ["'|startswith': a", 'modifier_combination', 'keywords'],
    ["'|gt': 1", 'modifier_combination', 'keywords'],
    ["'|cidr': 10.0.0.0/8", 'modifier_combination', 'keywords'],
    ['f|exists: maybe', 'value_invalid', 'true or false'],
    ["f|exists: 'true'", 'value_invalid', 'true or false'],
    ['f|gt: abc', 'value_invalid', 'number'],
    ["f|gt: '0x10'", 'value_invalid', 'number'],
    ["f|gt: ''", 'value_invalid', 'number'],
    ['f|gt: .nan', 'value_invalid', 'number'],
    ['f|hour: 24', 'value_invalid', '0 to 23'],
    ['f|week: 54', 'value_invalid', '1 to 53'],
    ['f|minute: 1.5', 'value_invalid', 'whole number'],
    ['f|cidr: 10.0.0.0/33', 'value_invalid', 'network'],
    ['f|cidr: 10.0.0/8', 'value_invalid', 'network'],
    ["f|cidr: '2001:db8::1::2/64'", 'value_invalid', 'network'],
    ["f|cidr: '1:2:3:4:5:6:7'", 'value_invalid', 'network'],
    ['f|cidr: 10', 'value_invalid', 'network'],
    ['f|base64: "a*"', 'value_invalid', 'wildcards'],
    ['f|base64offset: ""', 'value_invalid', 'text'],
    ['f|wide: é', 'value_invalid', 'base64'],
    ['f|utf16: a', 'value_invalid', 'base64'],
    ['f|fieldref: 5', 'value_invalid', 'name of a field'],
    ['f|contains: null', 'modifier_combination', 'null'],
    ['f|re: "("', 'regex_refused', 'cannot be run'],
    ['f: []', 'value_invalid', 'empty list'],
    ['f: {g: 1}', 'value_invalid', 'must be text'],
    ['f: [[a]]', 'value_invalid', 'must be text'],
    ['f|expand: "%nope%"', 'placeholder_unresolved', "'%nope%'"],
    ['f|expand: "%none%"', 'placeholder_unresolved', "'%none%'"],
    ['f|expand: "%toString%"', 'placeholder_unresolved', "'%toString%'"],
    ['f|fieldref|expand: "%user%"', 'modifier_combination', "cannot follow 'fieldref'"],
    ['f|base64|expand: "%user%"', 'modifier_combination', 'fill in placeholders first'],
  ])('%s: %s', (item, code, words) => {
    const [problem] = problemsOf(detection('t', `{${item}}`), LISTS);
    expect(problem).toMatch(/^r\.yml:4:\d+ /);
    expect(problem).toContain(` ${code} `);
    expect(problem).toContain(words);
  });
});

describe('selections', () => {
  it.each([
    ['{x: 1, y: 2}', '(x=1 and y=2)'],
    ['[{x: 1, y: 2}, {z: 3}]', '((x=1 and y=2) or z=3)'],
    ['[a, 5, true]', '(keyword=a or keyword=5 or keyword=true)'],
    ['[a, {x: 1}]', '(keyword=a or x=1)'],
    ['[[a, b], {x: 1}]', '((keyword=a or keyword=b) or x=1)'],
    ['a', 'keyword=a'],
    ['a*b', 'keyword=a<*>b'],
    ['{"": a}', 'keyword=a'],
  ])('%s', (selection, wanted) => {
    const test = load(detection('t', selection)).detections[0]?.test;
    expect(test && showTest(test)).toBe(wanted);
  });

  it.each([
    ['{}', 'empty'],
    ['[]', 'empty'],
    ['[null]', 'keyword'],
    ["['']", 'keyword'],
  ])('%s is refused', (selection, words) => {
    expect(problemsOf(detection('t', selection))[0]).toContain(words);
  });
});
