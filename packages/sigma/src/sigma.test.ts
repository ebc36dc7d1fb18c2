import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createJsonFieldView, formatProblem, groupOf, groupValues, loadRuleSet, SigmaError } from './index.ts';
import { compilePattern, parsePattern } from './value-pattern.ts';

const HEAD = 'title: t\nname: t\nlogsource: {product: test}\n';

/** Does a rule with this detection match this event? */
function matches(detection: string, event: Record<string, unknown>): boolean {
  const set = loadRuleSet([{ path: 'r.yml', content: `${HEAD}detection:\n${detection.replaceAll(/^/gm, '  ')}\n` }]);
  return set.matchEvent(createJsonFieldView(event), { product: 'test', service: null, category: null }).length === 1;
}

/** Does `field: value` (as YAML) match? */
function matchesItem(item: string, event: Record<string, unknown>): boolean {
  return matches(`s:\n  ${item}\ncondition: s`, event);
}

function problemsOf(content: string): string[] {
  try {
    loadRuleSet([{ path: 'r.yml', content }]);
  } catch (error) {
    if (error instanceof SigmaError) return error.problems.map(formatProblem);
    throw error;
  }
  return [];
}

describe('values', () => {
  it.each([
    ["f: 'abc'", { f: 'ABC' }, true],
    ["f: 'äb'", { f: 'ÄB' }, true],
    ["f|cased: 'abc'", { f: 'ABC' }, false],
    ["f: 'a*c'", { f: 'a\n long c' }, true],
    ["f: 'a?c'", { f: 'a\nc' }, true],
    ["f: 'a?c'", { f: 'a😀c' }, true],
    ["f: 'a?c'", { f: 'ac' }, false],
    ["f: 'a\\*c'", { f: 'a*c' }, true],
    ["f: 'a\\*c'", { f: 'abc' }, false],
    ["f: 'a\\\\*'", { f: 'a\\anything' }, true],
    ["f: 'a\\\\\\*'", { f: 'a\\*' }, true],
    ["f: 'a\\\\\\*'", { f: 'a\\b' }, false],
    ["f: 'C:\\Windows'", { f: 'c:\\windows' }, true],
    ["f|contains: 'b'", { f: 'abc' }, true],
    ["f|startswith: 'b'", { f: 'abc' }, false],
    ["f|startswith: 'a?c'", { f: 'abcd' }, true],
    ["f|endswith: 'C'", { f: 'abc' }, true],
    ["f|contains: '<'", { f: 'a<b' }, true],
    ['f: 5', { f: 5 }, true],
    ['f: 5', { f: '5' }, true],
    ["f: '5'", { f: 5 }, true],
    ['f: 5', { f: '05' }, false],
    ['f: true', { f: true }, true],
    ['f: true', { f: 'true' }, true],
    ['f: true', { f: 1 }, false],
    ['f: null', {}, true],
    ['f: null', { f: null }, true],
    ['f: null', { f: '' }, false],
    ["f: ''", { f: '' }, true],
    ["f: ''", {}, false],
    ["f: ''", { f: null }, false],
    ["f: '*'", {}, false],
    ["f: '*'", { f: '' }, true],
    ["f|contains: '*'", {}, false],
    ['f|exists: true', { f: null }, true],
    ['f|exists: false', {}, true],
    ['f|exists: false', { f: null }, false],
    ['f: [a, b]', { f: 'b' }, true],
    ['f|contains|all: [a, b]', { f: 'b and a' }, true],
    ['f|contains|all: [a, b]', { f: 'a' }, false],
    ['f|contains|all: [a, b]', { f: ['a', 'b'] }, true],
    ['f: b', { f: ['a', 'b'] }, true],
    ['f|neq: [a, b]', { f: 'a' }, false],
    ['f|neq: [a, b]', { f: 'c' }, true],
    ['f|neq: a', {}, true],
    ['f|neq: a', { f: ['b', 'a'] }, false],
    ['f|gte: 5', { f: 5 }, true],
    ['f|gt: 5', { f: '5.5' }, true],
    ['f|lt: 5', { f: 'abc' }, false],
    ['f|lte: 5', { f: '' }, false],
    ['o.f: x', { o: { f: 'x' } }, true],
    ['o.f: x', { o: [{ f: 'y' }, { f: 'x' }] }, true],
  ] as const)('%s on %j: %s', (item, event, wanted) => {
    expect(matchesItem(item, event)).toBe(wanted);
  });

  it('keywords search values, never names, in any case', () => {
    const detection = "k: ['needle', 77]\ncondition: k";
    expect(matches(detection, { a: { b: 'a NEEDLE here' } })).toBe(true);
    expect(matches(detection, { n: 1774 })).toBe(true);
    expect(matches(detection, { needle: 'x' })).toBe(false);
    expect(matches("k:\n  '|all': [one, two]\ncondition: k", { a: 'one', b: 'two' })).toBe(true);
    expect(matches("k:\n  '|all': [one, two]\ncondition: k", { a: 'one' })).toBe(false);
  });

  it('wildcards agree with a regular expression on random patterns', () => {
    const letter = fc.constantFrom('a', 'b', '*', '?');
    fc.assert(
      fc.property(
        fc.array(letter, { maxLength: 8 }),
        fc.array(fc.constantFrom('a', 'b'), { maxLength: 10 }),
        (pattern, text) => {
          const source = pattern.map((part) => (part === '*' ? '[^]*' : part === '?' ? '[^]' : part)).join('');
          expect(compilePattern(parsePattern(pattern.join('')), false)(text.join(''))).toBe(
            new RegExp(`^${source}$`).test(text.join('')),
          );
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('many wildcards on a long text take no exponential time', () => {
    const test = compilePattern(parsePattern(`${'a*'.repeat(30)}c`), false);
    const began = process.cpuUsage();
    expect(test('a'.repeat(10_000))).toBe(false);
    expect(process.cpuUsage(began).user).toBeLessThan(500_000);
  });
});

describe('conditions', () => {
  const selections = 'a: {x: 1}\nb: {y: 1}\n_c: {z: 1}\n';
  it.each([
    ['a or b and not _c', { x: 1, z: 1 }, true],
    ['(a or b) and not _c', { x: 1, z: 1 }, false],
    ['not a and b', { y: 1 }, true],
    ['not not a', { x: 1 }, true],
    ['NOT a AND b', { y: 1 }, true],
    ['1 of them', { z: 1 }, false],
    ['1 of _*', { z: 1 }, true],
    ['all of them', { x: 1, y: 1 }, true],
    ['any of a*', { x: 1 }, true],
    ['all of *', { x: 1 }, false],
  ] as const)('%s on %j: %s', (condition, event, wanted) => {
    expect(matches(`${selections}condition: ${condition}`, event)).toBe(wanted);
  });

  it('a list of conditions is an OR; a list of maps too', () => {
    expect(matches(`${selections}condition: [a, b]`, { y: 1 })).toBe(true);
    expect(matches('s:\n  - x: 1\n  - y: 1\ncondition: s', { y: 1 })).toBe(true);
  });

  it.each([
    ['a and', 'condition_syntax'],
    ['(a', 'condition_syntax'],
    ['a)', 'condition_syntax'],
    ['2 of them', 'condition_syntax'],
    ['a | count() > 5', 'condition_syntax'],
    ['a b', 'condition_syntax'],
    ['nope', 'selection_unknown'],
    ['all of nope*', 'pattern_matches_nothing'],
    ['a* and b', 'condition_syntax'],
    ['('.repeat(200), 'condition_syntax'],
  ])('%s is refused as %s', (condition, code) => {
    const [problem] = problemsOf(
      `${HEAD}detection:\n  a: {x: 1}\n  b: {y: 1}\n  condition: ${JSON.stringify(condition)}\n`,
    );
    expect(problem).toContain(` ${code} `);
    expect(problem).toMatch(/^r\.yml:7:\d+ /);
  });

  it('any text is parsed or refused, never crashes the loader', () => {
    fc.assert(
      fc.property(
        fc.string({
          maxLength: 60,
          unit: fc.constantFrom('a', ' ', '(', ')', '*', '1 of ', 'not ', ' and ', ' or ', '|', '\\', '_'),
        }),
        (condition) => {
          problemsOf(`${HEAD}detection:\n  a: {x: 1}\n  condition: ${JSON.stringify(condition)}\n`);
        },
      ),
      { numRuns: 1000 },
    );
  });
});

describe('rule files', () => {
  const DETECTION = `${HEAD}detection: {s: {x: 1}, condition: s}\n`;
  const correlation = (body: string): string =>
    `${DETECTION}---\ntitle: c\nname: c\ncorrelation:\n${body.replaceAll(/^/gm, '  ')}\n`;

  it.each([
    ['detection: {s: {"x|re": "a(b"}, condition: s}', 'regex_refused', 'pattern'],
    ['detection: {s: {"x|base64": "a*"}, condition: s}', 'value_invalid', 'wildcards'],
    ['detection: {s: {"x|nope": a}, condition: s}', 'modifier_unknown', 'nope'],
    ['detection: {s: {"x|contains|endswith": a}, condition: s}', 'modifier_combination', 'contains|endswith'],
    ['detection: {s: {"x|gt": abc}, condition: s}', 'value_invalid', 'number'],
    ['detection: {s: {"x|exists": maybe}, condition: s}', 'value_invalid', 'true or false'],
    ['detection: {s: {x: {y: 1}}, condition: s}', 'value_invalid', 'text'],
    ['detection: {s: {x: 1}}', 'key_missing', 'condition'],
    ['detection: {s: {x: 1}, t: *a, condition: s}', 'yaml_alias', 'anchor'],
    ['detection: {s: {x: 1, x: 2}, condition: s}', 'duplicate_key', 'unique'],
    ['detection: {s: {x: 1}, condition: s', 'yaml_syntax', ''],
  ])('%s is refused as %s', (body, code, words) => {
    const problems = problemsOf(`${HEAD}${body}\n`);
    expect(problems.some((problem) => problem.includes(` ${code} `) && problem.includes(words))).toBe(true);
  });

  it.each([
    ['type: event_count\nrules: [t]\ntimespan: 5M\ncondition: {gte: 3}', 'unsupported', 'months'],
    ['type: event_count\nrules: [t]\ntimespan: 99d\ncondition: {gte: 3}', 'limit_exceeded', '90 days'],
    ['type: event_count\nrules: [t]\ntimespan: soon\ncondition: {gte: 3}', 'value_invalid', 'timespan'],
    ['type: event_count\nrules: [t]\ntimespan: 5m', 'key_missing', 'condition'],
    ['type: event_count\nrules: [t]\ntimespan: 5m\ncondition: {gte: 0}', 'value_invalid', 'gte'],
    ['type: event_count\nrules: [t]\ntimespan: 5m\ncondition: {gte: 2.5}', 'value_invalid', 'gte'],
    ['type: event_count\nrules: [nope]\ntimespan: 5m\ncondition: {gte: 3}', 'reference_unknown', 'nope'],
    ['type: event_count\nrules: [c]\ntimespan: 5m\ncondition: {gte: 3}', 'reference_cycle', "'c' -> 'c'"],
    ['type: value_count\nrules: [t]\ntimespan: 5m\ncondition: {gte: 3}', 'key_missing', 'field'],
    ['type: temporal_ordered\nrules: [t]\ntimespan: 5m', 'value_invalid', 'two'],
    [
      'type: event_count\nrules: [t]\ntimespan: 5m\ncondition: {gte: 3}\nx-corr: {window: session}',
      'key_missing',
      'gap',
    ],
    ['type: event_count\nrules: [t]\ntimespan: 5m\ncondition: {gte: 3}\nnope: 1', 'key_unknown', 'nope'],
  ])('correlation %s is refused as %s', (body, code, words) => {
    const problems = problemsOf(correlation(body));
    expect(problems.some((problem) => problem.includes(` ${code} `) && problem.includes(words))).toBe(true);
  });

  it('says file, line and column of each problem, and all of them at once', () => {
    const content = `title: a\nlogsource: {}\ndetection:\n  s:\n    "x|nope": 1\n    "y|gt|re": 1\n  condition: s or q\n`;
    expect(problemsOf(content).map((problem) => problem.split(' ').slice(0, 2).join(' '))).toEqual([
      'r.yml:5:5 modifier_unknown',
      'r.yml:6:5 modifier_combination',
      'r.yml:7:19 selection_unknown',
    ]);
  });

  it('warns of unknown keys, accepts custom ones', () => {
    const set = loadRuleSet([{ path: 'r.yml', content: `${DETECTION}nope: 1\nx-own: 1\ncustom: {a: 1}\n` }]);
    expect(set.warnings.map(({ line, message }) => [line, message.includes("'nope'")])).toEqual([[5, true]]);
  });

  it('P2 references work by id and by name, also when a rule has both', () => {
    const both = DETECTION.replace('name: t', 'name: t\nid: 11111111-0000-4000-8000-000000000001');
    for (const reference of ['t', '11111111-0000-4000-8000-000000000001']) {
      const content = `${both}---\ntitle: c\nname: c\ncorrelation: {type: event_count, rules: [${reference}], timespan: 5m, condition: {gt: 2}}\n`;
      const set = loadRuleSet([{ path: 'r.yml', content }]);
      expect(set.correlations[0]).toMatchObject({ steps: [0], threshold: 3, timespanMs: 300_000 });
      expect(set.detections[0]).toMatchObject({ emitsFinding: false, feeds: [{ correlation: 0, step: 0 }] });
    }
  });

  it('an ambiguous reference and two rules of one id are refused', () => {
    const twins = `${DETECTION}---\n${DETECTION}---\ntitle: c\nname: c\ncorrelation: {type: event_count, rules: [t], timespan: 5m, condition: {gte: 2}}\n`;
    expect(problemsOf(twins).map((problem) => problem.split(' ')[1])).toEqual([
      'duplicate_rule',
      'reference_ambiguous',
    ]);
  });
});

describe('rule sets', () => {
  const rule = (title: string, threshold: number): string =>
    `${HEAD}detection: {s: {x: 1}, condition: s}\n---\ntitle: ${title}\nname: c\ncorrelation: {type: event_count, rules: [t], group-by: [u], timespan: 5m, condition: {gte: ${threshold}}}\n`;

  it('are named by their content: order of files and line ends do not matter, content does', () => {
    const files = [
      { path: 'a.yml', content: rule('c', 3) },
      { path: 'b.yml', content: HEAD.replaceAll(/: t$/gm, ': u') + 'detection: {s: {x: 2}, condition: s}\n' },
    ];
    const id = loadRuleSet(files).rulesetId;
    expect(loadRuleSet(files.toReversed()).rulesetId).toBe(id);
    expect(
      loadRuleSet(files.map(({ path, content }) => ({ path, content: content.replaceAll('\n', '\r\n') }))).rulesetId,
    ).toBe(id);
    expect(
      loadRuleSet([{ path: 'a.yml', content: rule('c', 4) }, files[1] ?? { path: '', content: '' }]).rulesetId,
    ).not.toBe(id);
  });

  it('semantic hash: words do not change it; threshold, span, group and detection do', () => {
    const hash = (content: string): string | undefined =>
      loadRuleSet([{ path: 'a.yml', content }]).correlations[0]?.semanticHash;
    const base = hash(rule('c', 3));
    expect(hash(rule('Another title', 3))).toBe(base);
    for (const changed of [
      rule('c', 4),
      rule('c', 3).replace('5m', '6m'),
      rule('c', 3).replace('[u]', '[v]'),
      rule('c', 3).replace('x: 1', 'x: 2'),
    ]) {
      expect(hash(changed)).not.toBe(base);
    }
    expect(hash(rule('c', 3).replace('gte: 3', 'gt: 2'))).toBe(base);
  });

  it('log source: what the rule names must be equal, in any case; what it leaves out may be anything', () => {
    const set = loadRuleSet([
      { path: 'r.yml', content: `${HEAD.replace('test', 'Okta')}detection: {s: {x: 1}, condition: s}\n` },
    ]);
    const view = createJsonFieldView({ x: 1 });
    expect(set.matchEvent(view, { product: 'okta', service: 'any', category: null })).toEqual([0]);
    expect(set.matchEvent(view, { product: null, service: null, category: null })).toEqual([]);
    expect(set.matchEvent(view, { product: 'aws', service: null, category: null })).toEqual([]);
  });
});

describe('match records', () => {
  const set = loadRuleSet([
    {
      path: 'r.yml',
      content: `${HEAD}detection: {s: {x: 1}, condition: s}
---
title: count
name: count
correlation: {type: event_count, rules: [t], group-by: [user, ip], aliases: {user: {t: who}}, timespan: 5m, condition: {gte: 2}}
---
title: values
name: values
correlation: {type: value_count, rules: [t], timespan: 5m, condition: {gte: 2, field: [v, w]}}
---
title: order
name: order
correlation: {type: temporal_ordered, rules: [t, t], group-by: [ip], timespan: 5m}
`,
    },
  ]);
  const matchesOf = (event: Record<string, unknown>) => {
    const view = createJsonFieldView(event);
    return set.matchesOf(view, set.matchEvent(view, { product: 'test', service: null, category: null }));
  };

  it('name rule, step, typed group and value; aliases take the field of the referenced rule', () => {
    expect(matchesOf({ x: 1, who: 'ann', ip: 7, v: true, w: 'W' })).toEqual({
      groupMissing: [],
      matches: [
        { rule: 0, step: 0, group_key: '["s:ann","n:7"]', value: null, number: null },
        { rule: 1, step: 0, group_key: '[]', value: '["b:true","s:W"]', number: null },
        { rule: 2, step: 0, group_key: '["n:7"]', value: null, number: null },
        { rule: 2, step: 1, group_key: '["n:7"]', value: null, number: null },
      ],
    });
  });

  it('a missing or null group or value field drops the match and is told for counting', () => {
    expect(matchesOf({ x: 1, who: null, v: 'a' })).toEqual({ groupMissing: [0, 1, 2, 2], matches: [] });
  });

  it('an array of group values takes part in each group; too many in none', () => {
    expect(
      matchesOf({ x: 1, who: ['a', 'b', 'a'], ip: 1, v: 1, w: 1 })
        .matches.filter(({ rule }) => rule === 0)
        .map(({ group_key }) => group_key),
    ).toEqual(['["s:a","n:1"]', '["s:b","n:1"]']);
    expect(
      matchesOf({ x: 1, who: Array.from({ length: 17 }, (_, n) => `u${n}`), ip: 1, v: 1, w: 1 }).groupMissing,
    ).toEqual([0]);
  });

  it('group values of different types and cases are different groups, and read back as text', () => {
    const key = (ip: unknown): string | undefined =>
      matchesOf({ x: 1, ip }).matches.find(({ rule }) => rule === 2)?.group_key;
    expect(new Set([key('1'), key(1), key('A'), key('a'), key('true'), key(true)]).size).toBe(6);
    expect(groupValues(key('a"b\\c') ?? '')).toEqual(['a"b\\c']);
    expect(groupOf({ groupBy: ['ip'] }, key('10.0.0.1') ?? '')).toEqual([{ field: 'ip', value: '10.0.0.1' }]);
  });
});
