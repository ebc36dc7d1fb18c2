import { describe, expect, it } from 'vitest';
import type { SigmaProblem } from './problems.ts';
import { ABCD, correlation, detection, load, problemsOf } from './rule-text.fixture.ts';
import { createProblemSink, readYamlDocuments } from './yaml-tree.ts';

/** Generous: each of these took far longer, or all memory, without its limit. */
const CPU_MS_MAX = 5_000;

/** Problems with a file, and that they are found in bounded CPU time. */
function refuse(content: string): string[] {
  const began = process.cpuUsage();
  const problems = problemsOf(content);
  const { user, system } = process.cpuUsage(began);
  expect((user + system) / 1000).toBeLessThan(CPU_MS_MAX);
  return problems;
}

const head = 'title: t\nlogsource: {product: test}\n';
const many = (count: number, line: (n: number) => string, separator = '\n'): string =>
  Array.from({ length: count }, (_, n) => line(n)).join(separator);

describe('rule bombs are refused, quickly and with the reason', () => {
  const dashes = (count: number): string => many(count, () => '-a', ' ');
  it.each([
    [
      'a billion laughs',
      () =>
        `${head}a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n${many(9, (n) => `a${n + 1}: &a${n + 1} [${many(10, () => `*a${n}`, ', ')}]`)}\n`,
      'once its aliases are written out',
    ],
    ['many aliases', () => `${head}a: &a 1\nb: [${many(2_000, () => '*a', ', ')}]\n`, '1000 aliases'],
    [
      'sixty thousand selections',
      () => `${head}detection:\n${many(60_000, (n) => `  s${n}: {x: 1}`)}\n  condition: 1 of them\n`,
      'more than 30000 values',
    ],
    [
      'too many values',
      () => `${head}detection:\n  s: {x: [${many(25_000, (n) => String(n), ', ')}]}\n  condition: s\n`,
      '20000 values',
    ],
    [
      'a million values',
      () => `${head}detection:\n  s: {x: [${many(450_000, () => '1', ',')}]}\n  condition: s\n`,
      'more than 30000 values',
    ],
    [
      'conditions that multiply',
      () =>
        `${head}detection:\n  s: {x: [${many(500, (n) => String(n), ', ')}]}\n  condition: ${many(500, () => '1 of *', ' or ')}\n`,
      '20000 values',
    ],
    [
      'many selections in many quantifiers',
      () =>
        `${head}detection:\n${many(3_000, (n) => `  s${n}: {x: 1}`)}\n  condition: ${many(3_000, () => 'all of *', ' or ')}\n`,
      '20000 values',
    ],
    [
      'a long condition',
      () => `${head}detection:\n  s: {x: 1}\n  condition: ${many(20_000, () => 's', ' or ')}\n`,
      '50000 characters',
    ],
    [
      'nested parentheses',
      () => `${head}detection:\n  s: {x: 1}\n  condition: "${'('.repeat(20_000)}s${')'.repeat(20_000)}"\n`,
      'levels deep',
    ],
    ['nested not', () => `${head}detection:\n  s: {x: 1}\n  condition: "${'not '.repeat(10_000)}s"\n`, 'levels deep'],
    ['nested lists', () => `${head}detection: ${'['.repeat(5_000)}${']'.repeat(5_000)}\n`, 'nested'],
    ['nested maps', () => `${head}detection: ${'{a: '.repeat(2_000)}1${'}'.repeat(2_000)}\n`, 'nested'],
    ['windash 5^6', () => detection('t', `{"x|windash|contains": "${dashes(6)}"}`), '15625 variants'],
    ['windash 5^400', () => detection('t', `{"x|windash|contains": "${dashes(400)}"}`), 'variants'],
    [
      'windash, many values',
      () => detection('t', `{"x|windash|contains": [${many(10, (n) => `"${dashes(5)} ${n}"`, ', ')}]}`),
      '20000 values',
    ],
    [
      'windash of long text',
      () => detection('t', `{"x|windash|contains": "${dashes(5)}${'x'.repeat(10_000)}"}`),
      'characters of values',
    ],
    ['a large file', () => `${head}# ${'x'.repeat(4_100_000)}\n`, 'more than 4000000 characters'],
    [
      'an absurd window',
      () =>
        `${ABCD}---\ntitle: x\ncorrelation: {type: event_count, rules: [a], timespan: 5000w, condition: {gte: 2}}\n`,
      '90 days',
    ],
    [
      'an absurd threshold',
      () => `${ABCD}---\n${correlation('type: event_count, rules: [a], condition: {gte: 100000000}')}`,
      '10000',
    ],
    [
      'many steps',
      () => `${ABCD}---\n${correlation(`type: temporal, rules: [${many(15_000, (n) => `r${n}`, ', ')}]`)}`,
      'at most 10 rules',
    ],
    [
      'many ordered steps in a condition',
      () => `${ABCD}---\n${correlation(`type: temporal_ordered, condition: ${many(7_000, () => 'a', ' and ')}`)}`,
      'at most 10 rules',
    ],
    [
      'many steps in a condition',
      () => `${ABCD}---\n${correlation(`type: temporal, condition: ${many(5_000, (n) => `r${n}`, ' and ')}`)}`,
      'at most 10 rules',
    ],
    [
      'a condition with many alternatives',
      () => `${ABCD}---\n${correlation(`type: temporal, condition: ${many(40, () => '(a or b)', ' and ')}`)}`,
      'alternatives',
    ],
    [
      'many references',
      () =>
        `${ABCD}---\n${correlation(`type: event_count, rules: [${many(2_000, () => 'a', ', ')}], condition: {gte: 2}`)}`,
      'at most 1000 rules',
    ],
  ])('%s', { timeout: 30_000 }, (_name, content, words) => {
    const problems = refuse(content());
    expect(
      problems.some((problem) => problem.includes(words)),
      problems.slice(0, 3).join('\n'),
    ).toBe(true);
  });

  it('filters of everything in a large set', { timeout: 30_000 }, () => {
    const rules = many(
      1_500,
      (n) => `title: r${n}\nlogsource: {product: test}\ndetection: {s: {x: 1}, condition: s}\n`,
      '---\n',
    );
    const filter = `title: f\nlogsource: {product: test}\nfilter: {rules: any, u: {y: [${many(5_000, (n) => String(n), ', ')}]}, condition: u}\n`;
    expect(refuse(`${rules}---\n${filter}`)[0]).toContain('filters are too large');
  });

  it('as many filters as rules', { timeout: 30_000 }, () => {
    const rules = many(
      3_000,
      (n) => `title: r${n}\nlogsource: {product: p}\ndetection: {s: {x: 1}, condition: s}\n`,
      '---\n',
    );
    const filters = many(
      3_000,
      (n) => `title: f${n}\nlogsource: {product: q}\nfilter: {u: {y: 1}, condition: u}\n`,
      '---\n',
    );
    expect(refuse(`${rules}---\n${filters}`)[0]).toContain('filters are too large');
  });

  it('a chain as long as a file is cut at its fifth rule', { timeout: 30_000 }, () => {
    const chain = many(
      2_000,
      (n) => correlation(`type: event_count, rules: [${n === 0 ? 'a' : `c${n - 1}`}], condition: {gte: 2}`, `c${n}`),
      '---\n',
    );
    expect(refuse(`${ABCD}---\n${chain}`)).toEqual([expect.stringContaining('the chain is 5 correlations deep')]);
  });

  it('limits can be set, wider or narrower', () => {
    const rule = detection('t', '{"x|windash|contains": "-a -b -c -d -e -f"}');
    expect(problemsOf(rule)).toHaveLength(1);
    expect(problemsOf(rule, { limits: { dashVariantsMax: 20_000, testsMax: 50_000 } })).toEqual([]);
    expect(problemsOf(detection('t', '{x: [1, 2, 3]}'), { limits: { testsMax: 2 } })[0]).toContain(
      'more than 2 values',
    );
  });

  it('public rules stay far below: 1,500 values with five dash variants each', () => {
    const values = many(1_500, (n) => `" -x${n}"`, ', ');
    expect(load(detection('t', `{"x|windash|contains": [${values}]}`)).detections).toHaveLength(1);
  });
});

describe('YAML', () => {
  function read(content: string) {
    const problems: SigmaProblem[] = [];
    const nodes = readYamlDocuments(content, createProblemSink('r.yml', problems));
    return { nodes, problems: problems.map(({ line, column, code }) => `${line}:${column} ${code}`) };
  }

  it('aliases stand for what their anchor holds', () => {
    const set = load(
      `title: t\nlogsource: &l {product: test}\nx-copy: *l\ndetection:\n  s: {x: &v [1, 2], y: *v}\n  condition: s\n`,
    );
    expect(set.detections[0]?.test).toMatchObject({
      op: 'and',
      of: [{ op: 'or' }, { op: 'or', of: [{ field: 'y' }, { field: 'y' }] }],
    });
  });

  it.each([
    ['a: *b\n', '1:4 yaml_alias'],
    ['a: &a [*a]\n', '1:8 yaml_alias'],
    ['a: &a {b: 1}\nc:\n  <<: *a\n', '3:3 yaml_merge_key'],
    ['%YAML 1.1\n---\na: &a {b: 1}\nc:\n  <<: *a\n', '5:3 yaml_merge_key'],
    ['a: 1\nb: 2\na: 3\n', '3:1 duplicate_key'],
    ['a: {b: 1, "b": 2}\n', '1:11 duplicate_key'],
    ['? [a]\n: 1\n', '1:3 value_invalid'],
    ['a: [1\n', '2:1 yaml_syntax'],
    ['a: "x\n', '2:1 yaml_syntax'],
    ['a:\n\t- b\n', '2:1 yaml_syntax'],
  ])('%j: %s', (content, problem) => {
    expect(read(content).problems[0]).toBe(problem);
  });

  it('a broken document does not take the others of its file with it', () => {
    const { nodes, problems } = read('a: 1\n---\nb: [1\n---\nc: 1\n---\n\n');
    expect(problems.length).toBeGreaterThan(0);
    expect(nodes.length).toBeGreaterThan(0);
  });

  it('values are those of YAML 1.2, whatever the file declares; large whole numbers keep their digits', () => {
    const values = (yaml: string) => {
      const [node] = read(yaml).nodes;
      return node?.kind === 'list' ? node.items.map((item) => (item.kind === 'scalar' ? item.value : item)) : node;
    };
    const wanted = ['no', 'on', true, null, 5, 0.5, '2024-01-02', '12345678901234567890', 255];
    const list = '[no, on, true, ~, 5, .5, 2024-01-02, 12345678901234567890, 0xff]\n';
    expect(values(list)).toEqual(wanted);
    expect(values(`%YAML 1.1\n---\n${list}`)).toEqual(wanted);
  });
});
