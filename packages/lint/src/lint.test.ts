import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { formatFinding } from './check.ts';
import { lintRules } from './lint.ts';
import { nearestOf } from './nearest.ts';

const OPTIONS = { matchesRetentionMs: 14 * 86_400_000 };
const HEAD = `title: A door stands open
id: 5f0c5f0e-7f86-4d0c-9a4c-0b7d6d1c0001
status: test
description: Someone left a door of the platform open.
author: Tracehound
date: 2026-01-15
tags: [attack.credential-access, attack.t1110]
logsource: {product: windows, category: process_creation}
falsepositives: [A guest]
level: medium
`;

function lint(content: string): readonly string[] {
  return lintRules([{ path: 'a.yml', content }], OPTIONS).findings.map(formatFinding);
}

function detection(selections: string, condition = 'selection'): readonly string[] {
  return lint(`${HEAD}detection:\n${selections}\n  condition: ${condition}\n`);
}

const codes = (lines: readonly string[]): readonly string[] => lines.map((line) => line.split(' ')[1] ?? '');

describe('findings', () => {
  test('are path:line:column CODE message, by place', () => {
    expect(detection('  selection:\n    Image: [a.exe, a.exe]\n    User: ["x"]')).toEqual([
      "a.yml:13:20 value-duplicate 'a.exe' is listed twice",
      'a.yml:14:5 value-single-list a list of one: write the value itself',
    ]);
  });

  test('a file that is no rule never throws', () => {
    for (const content of [
      '',
      '- 1',
      'a',
      '{',
      'detection: 1',
      'correlation: {}',
      'detection: {condition: [1, {}]}',
      'filter: {}',
      '\u0000',
    ])
      expect(() => lint(content)).not.toThrow();
  });

  test('line ends of Windows do not move them', () => {
    const content = `${HEAD}detection:\n  selection:\n    User: ["x"]\n  condition: selection\n`;
    expect(lint(content.replaceAll('\n', '\r\n'))).toEqual(lint(content));
  });

  test('every public rule is read, and none gives an error but what the loader cannot run', () => {
    const root = join(import.meta.dirname, '../../../testdata/sigma-rules/rules');
    const files = globSync('**/*.yml', { cwd: root }).map((path) => ({
      path,
      content: readFileSync(join(root, path), 'utf8'),
    }));
    const { findings, rules } = lintRules(files, OPTIONS);
    expect(rules).toBe(603);
    expect(findings.filter(({ level, code }) => level === 'error' && !code.startsWith('load-'))).toEqual([]);
  }, 60_000);
});

describe('suppressions', () => {
  test('above the line, at its end, several codes', () => {
    expect(detection('  selection:\n    # lint: ignore value-single-list kept for later\n    User: ["x"]')).toEqual([]);
    expect(detection('  selection:\n    User: ["x"] # lint: ignore value-single-list kept for later')).toEqual([]);
    expect(
      detection(
        '  selection:\n    # lint: ignore value-single-list, modifier-all-single kept for later\n    User|neq: ["x"]',
      ),
    ).toEqual([
      "a.yml:13:5 suppression-unused 'modifier-all-single' does not occur at line 14",
      "a.yml:14:5 modifier-neq-without-exists events without 'User' match too: add 'User|exists: true'",
    ]);
  });

  test('reach one line only', () => {
    expect(
      codes(detection('  selection:\n    # lint: ignore value-single-list one\n    User: ["x"]\n    Image: ["y"]')),
    ).toEqual(['value-single-list']);
  });
});

describe('logic by truth table', () => {
  const three = '  a:\n    Image: a.exe\n  b:\n    User: b\n  c:\n    User: c';

  test.each([
    ['a and not a and b or c', ['condition-mixed-and-or', 'logic-selection-idle', 'logic-selection-idle']],
    ['(a or b or c) and not (a or b or c)', ['logic-never-matches']],
    ['a or not (a and b and c)', ['logic-always-matches']],
    ['a and (b or not b) and c', ['logic-selection-idle']],
    ['a and (b or c)', []],
  ])('%s', (condition, expected) => {
    expect(codes(detection(three, condition))).toEqual(expected);
  });

  test('a narrower filter is none of its business', () => {
    expect(
      detection('  selection:\n    Image: a.exe\n  filter:\n    Image: a.exe\n    User: b', 'selection and not filter'),
    ).toEqual([]);
  });

  test('case does not hide that a filter hides the rule', () => {
    expect(
      codes(
        detection('  selection:\n    Image: A.EXE\n  filter:\n    Image: [a.exe, b.exe]', 'selection and not filter'),
      ),
    ).toEqual(['logic-filter-hides-selection']);
  });
});

test.each([
  // Of sigma-regression: an escape before a quantifier is no possessive one.
  [String.raw`\.exe[\"\']?\s+[^\"]{0,64}door\s+\d{2,10}`, []],
  [String.raw`[+*]+a+`, []],
  [String.raw`a++b`, ['regex-refused']],
  [String.raw`(a)\1b*`, ['regex-refused']],
  [String.raw`(?<!a)b*`, ['regex-refused']],
])('regular expression %s', (pattern, expected) => {
  expect(codes(detection(`  selection:\n    Image: a.exe\n    User|re: '${pattern.replaceAll("'", "''")}'`))).toEqual(
    expected,
  );
});

describe('sets of files', () => {
  const rule = (n: number, extra = ''): string =>
    `title: Door ${n}\nid: 5f0c5f0e-7f86-4d0c-9a4c-0b7d6d1c00${10 + n}\n${extra}`;

  test('references are looked up in all of them, and duplicates named with their place', () => {
    const content = HEAD.replace('logsource', 'name: door\nlogsource');
    const body = 'detection:\n  selection:\n    Image: a.exe\n  condition: selection\n';
    const { findings } = lintRules(
      [
        { path: 'a.yml', content: content + body },
        { path: 'b.yml', content: content.replace('c0001', 'c0002') + body.replace('a.exe', 'b.exe') },
      ],
      OPTIONS,
    );
    expect(findings.map(formatFinding)).toEqual([
      'b.yml:1:1 name-duplicate the rule at a.yml:1 has the same name',
      'b.yml:1:1 title-duplicate the rule at a.yml:1 has the same title',
    ]);
  });

  test('a circle of correlations is found, not followed', () => {
    const circle = [1, 2].map((n) => ({
      path: `${n}.yml`,
      content: rule(
        n,
        `name: c${n}\ncorrelation:\n  type: event_count\n  rules: [c${3 - n}]\n  group-by: [x]\n  timespan: 1h\n  condition: {gte: 3}\n`,
      ),
    }));
    expect(lintRules(circle, OPTIONS).findings.filter(({ code }) => code === 'correlation-chain-depth')).toHaveLength(
      2,
    );
  });
});

describe('the nearest word', () => {
  test.each([
    ['falsepositive', 'falsepositives'],
    ['lveel', 'level'],
    ['xyz', undefined],
    ['at', undefined],
  ])('%s', (word, expected) => {
    expect(nearestOf(word, ['falsepositives', 'level', 'date', 'title'])).toBe(expected);
  });
});
