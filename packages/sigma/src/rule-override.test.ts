import { describe, expect, it } from 'vitest';
import { ABCD, correlation, load, problemsOf } from './rule-text.fixture.ts';

const COUNT = correlation('type: event_count, rules: [a], group-by: [u], condition: {gte: 3}', 'many');
const OUTER = correlation('type: temporal_ordered, rules: [many, b], group-by: [u], generate: true', 'then');
const EXPECT = correlation(
  'type: event_count, rules: [a], group-by: [u], condition: {lt: 1}, x-corr: {expect: [x]}',
  'silent',
);
const override = (body: string): string =>
  `title: Acme is large\nid: o1\noverride: {${body}}\ncustom: {owner: ada, reason: ticket 12, expires: 2027-01-31}\n`;
const set = (...documents: readonly string[]) => load([ABCD, ...documents].join('---\n'));
const problems = (...documents: readonly string[]) => problemsOf([ABCD, ...documents].join('---\n'));

describe('overrides', () => {
  it('give a correlation another number in one organization; everything else is the rule itself', () => {
    const plain = set(COUNT);
    const rules = set(COUNT, override('rule: many, organization: acme, condition: {gte: 40}'));
    const [base, form] = rules.correlations;
    expect(rules.correlations).toHaveLength(2);
    expect(base).toMatchObject({ uid: 'many', override: null, semanticHash: plain.correlations[0]?.semanticHash });
    expect(form).toMatchObject({
      ...{ index: 1, uid: 'many', threshold: 40, feeds: base?.feeds, stepSources: base?.stepSources },
      override: { organization: 'acme', base: 0, from: { uid: 'o1', title: 'Acme is large', path: 'r.yml', line: 25 } },
    });
    expect(form?.description).toMatchObject({ rule_id: 'many', title: 'many', semantic_hash: form?.semanticHash });
    expect(form?.semanticHash).not.toBe(base?.semanticHash);
    expect(rules.inOrganization(0, 'acme')).toBe(1);
    expect(rules.inOrganization(0, 'globex')).toBe(0);
    expect(rules.rulesetId).not.toBe(plain.rulesetId);
  });

  it('have the hash of a rule written with that number: the state of one is that of the other', () => {
    const rules = set(COUNT, override('rule: many, organization: acme, condition: {gte: 40}'));
    const copied = set(COUNT.replace('gte: 3', 'gte: 40'));
    expect(rules.correlations[1]?.semanticHash).toBe(copied.correlations[0]?.semanticHash);
  });

  it('reach the rules that stand on the one they change, in that organization', () => {
    const rules = set(COUNT, OUTER, override('rule: many, organization: acme, condition: {gte: 4}'));
    expect(rules.correlations.map(({ uid, override: one }) => [uid, one?.organization, one?.from?.uid])).toEqual([
      ['many', undefined, undefined],
      ['then', undefined, undefined],
      ['many', 'acme', 'o1'],
      ['then', 'acme', undefined],
    ]);
    const { matches } = rules.chainMatchesOf(2, '["su1"]');
    expect(matches.map(({ rule }) => rules.inOrganization(rule, 'acme'))).toEqual([3]);
  });

  it.each([
    ['rule: many, organization: acme', 'key_missing', "needs a 'condition'"],
    ['rule: many, condition: {gte: 4}', 'key_missing', "needs 'organization'"],
    ['organization: acme, condition: {gte: 4}', 'key_missing', "needs 'rule'"],
    ['rule: nope, organization: acme, condition: {gte: 4}', 'reference_unknown', "'nope'"],
    ['rule: a, organization: acme, condition: {gte: 4}', 'value_invalid', 'write a filter'],
    ['rule: many, organization: acme, condition: {gt: 4}', 'value_invalid', "has only 'gte', not 'gt'"],
    ['rule: many, organization: acme, condition: {over: 4}', 'key_unknown', 'no operator'],
    ['rule: many, organization: acme, condition: {gte: many}', 'value_invalid', 'gte'],
    ['rule: many, organization: acme, condition: {gte: 4}, timespan: 1h', 'key_unknown', 'another rule'],
    ['rule: then, organization: acme, condition: {gte: 4}', 'value_invalid', 'has no number'],
    ['rule: silent, organization: acme, condition: {lt: 4}', 'unsupported', "has 'expect'"],
  ])('refuse %s', (body, code, text) => {
    const [problem, ...more] = problems(COUNT, OUTER, EXPECT, override(body));
    expect(problem).toMatch(new RegExp(`^r\\.yml:\\d+:\\d+ ${code} `));
    expect(problem).toContain(text);
    expect(more).toEqual([]);
  });

  it('refuse a second one for the same rule and organization', () => {
    const one = override('rule: many, organization: acme, condition: {gte: 4}');
    expect(problems(COUNT, one, one.replace('o1', 'o2'))).toEqual([expect.stringContaining('duplicate_rule')]);
    expect(problems(COUNT, one, one.replace('acme', 'globex'))).toEqual([]);
  });
});
