import { describe, expect, it } from 'vitest';
import { detection, load, problemsOf, showTest } from './rule-text.fixture.ts';

const RULE = detection('t', '{x: 1}').replace('name: t', 'id: the-id\nname: t');
const OTHER = 'title: o\nname: o\nlogsource: {product: other, service: s}\ndetection: {s: {x: 2}, condition: s}\n';
const filter = (body: string, head = 'logsource: {product: test}\n'): string => `title: f\n${head}filter: {${body}}\n`;
const testsWith = (...filters: readonly string[]): string[] =>
  load([RULE, OTHER, ...filters].join('---\n')).detections.map(({ test }) => showTest(test));

describe('filters', () => {
  it.each([
    ['rules: [t], u: {y: 1}, condition: u', 'by name'],
    ['rules: [the-id], u: {y: 1}, condition: u', 'by id'],
    ['rules: t, u: {y: 1}, condition: u', 'one text'],
    ['rules: any, u: {y: 1}, condition: u', 'any'],
    ['rules: [], u: {y: 1}, condition: u', 'empty list: all of the log source'],
    ['u: {y: 1}, condition: u', 'no list: all of the log source'],
    ['rules: [t, t, the-id], u: {y: 1}, condition: u', 'named twice is put in once'],
  ])('%s (%s)', (body) => {
    expect(testsWith(filter(body))).toEqual(['(x=1 and not y=1)', 'x=2']);
  });

  it('several are put in one after the other; words of the condition keep their meaning', () => {
    const two = [
      filter('rules: [t], u: {y: 1}, condition: u'),
      filter('rules: [t], a: {y: 2}, b: {z: 3}, condition: a and b'),
    ];
    expect(testsWith(...two)[0]).toBe('(x=1 and not y=1 and not (y=2 and z=3))');
  });

  it('a condition that is negative as a whole excludes too, as pySigma reads it', () => {
    expect(testsWith(filter('rules: [t], u: {y: 1}, condition: not u'))[0]).toBe('(x=1 and not y=1)');
    expect(testsWith(filter('rules: [t], u: {y: 1}, v: {z: 1}, condition: not u and not v'))[0]).toBe(
      '(x=1 and (not y=1 and not z=1))',
    );
    expect(testsWith(filter('rules: [t], u: {y: 1}, v: {z: 1}, condition: u and not v'))[0]).toBe(
      '(x=1 and not (y=1 and not z=1))',
    );
  });

  it('log sources must agree; what the filter leaves out may be anything', () => {
    expect(
      testsWith(filter('rules: any, u: {y: 1}, condition: u', 'logsource: {product: TEST, service: z}\n')),
    ).toEqual(['x=1', 'x=2']);
    expect(testsWith(filter('rules: any, u: {y: 1}, condition: u', 'logsource: {service: s}\n'))).toEqual([
      'x=1',
      '(x=2 and not y=1)',
    ]);
    expect(testsWith(filter('rules: [t, o], u: {y: 1}, condition: u', ''))).toEqual([
      '(x=1 and not y=1)',
      '(x=2 and not y=1)',
    ]);
    const set = load([RULE, OTHER, filter('rules: [o, nope], u: {y: 1}, condition: u')].join('---\n'));
    expect(
      set.warnings.map(({ code, message }) => [code, message.includes('effect') || message.includes('no rule')]),
    ).toEqual([
      ['reference_unknown', true],
      ['reference_unknown', true],
    ]);
  });

  it('change the semantic hash of the rule and of what stands on it', () => {
    const count =
      'title: c\nname: c\ncorrelation: {type: event_count, rules: [t], timespan: 5m, condition: {gte: 2}}\n';
    const hashes = (...parts: string[]): string[] => {
      const set = load(parts.join('---\n'));
      return [set.detections[0]?.description.semantic_hash ?? '', set.correlations[0]?.semanticHash ?? ''];
    };
    const before = hashes(RULE, count);
    const after = hashes(RULE, count, filter('rules: [t], u: {y: 1}, condition: u'));
    expect(after[0]).not.toBe(before[0]);
    expect(after[1]).not.toBe(before[1]);
  });

  it.each([
    ['rules: any, u: {y: 1}, condition: u', '', 'key_missing'],
    ['rules: any, u: {y: 1}, condition: u', 'logsource: {}\n', 'key_missing'],
    ['rules: [t], u: {y: 1}', '', 'key_missing'],
    ['rules: [t], u: {"y|nope": 1}, condition: u', '', 'modifier_unknown'],
    ['rules: [t], u: {y: 1}, condition: v', '', 'selection_unknown'],
    ['rules: {t: 1}, u: {y: 1}, condition: u', '', 'value_invalid'],
  ])('%s with %j is refused as %s', (body, head, code) => {
    expect(problemsOf([RULE, filter(body, head)].join('---\n'))[0]).toContain(` ${code} `);
  });
});
