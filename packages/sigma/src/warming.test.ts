import { describe, expect, it } from 'vitest';
import { createJsonFieldView } from './field-view.ts';
import { loadRuleSet, type RuleSetCompiled } from './index.ts';
import { ABCD, correlation, detection } from './rule-text.fixture.ts';

const COUNT = correlation('type: event_count, rules: [a], group-by: [u], condition: {gte: 3}', 'many');
const OUTER = correlation('type: temporal_ordered, rules: [many, b], group-by: [u], generate: true', 'then');
const rulesOf = (...documents: readonly string[]): string => documents.join('---\n');

function both(now: string, toCome: string): RuleSetCompiled {
  return loadRuleSet([
    { path: 'r.yml', content: now },
    { path: 'warming/r.yml', content: toCome },
  ]);
}

const brief = (set: RuleSetCompiled) =>
  set.correlations.map(({ uid, isWarming, emitsAlert, description }) => [
    uid,
    isWarming,
    emitsAlert,
    description.status,
  ]);

describe('a set to come', () => {
  it('is not there where it means the same', () => {
    const set = both(rulesOf(ABCD, COUNT), rulesOf(ABCD, COUNT.replace('title: many', 'title: Many')));
    expect(brief(set)).toEqual([['many', false, true, null]]);
    expect(set.detections).toHaveLength(4);
  });

  it('runs a changed correlation beside the one in force, on trial, with the hash it will have', () => {
    const changed = COUNT.replace('gte: 3', 'gte: 5');
    const set = both(rulesOf(ABCD, COUNT), rulesOf(ABCD, changed));
    const later = loadRuleSet([{ path: 'r.yml', content: rulesOf(ABCD, changed) }]);
    expect(brief(set)).toEqual([
      ['many', false, true, null],
      ['many', true, true, 'experimental'],
    ]);
    expect(set.correlations[1]?.semanticHash).toBe(later.correlations[0]?.semanticHash);
    expect(set.detections).toHaveLength(4);
    const view = createJsonFieldView({ a: '1', u: 'x' });
    const { matches } = set.matchesOf(view, set.matchEvent(view, null));
    expect(matches.map(({ rule }) => rule)).toEqual([0, 1]);
  });

  it('a new correlation does not silence the detection it stands on, nor does a detection of its own speak', () => {
    const other = rulesOf(ABCD, detection('e', '{e: 1}'), correlation('type: temporal, rules: [a, e]', 'new'));
    const set = both(ABCD, other);
    expect(set.detections.map(({ name, emitsFinding }) => [name, emitsFinding])).toEqual([
      ['a', true],
      ['b', true],
      ['c', true],
      ['d', true],
      ['e', false],
    ]);
    expect(brief(set)).toEqual([['new', true, true, 'experimental']]);
  });

  it('a changed detection is there twice, and what stands on it too', () => {
    const set = both(rulesOf(ABCD, COUNT), rulesOf(ABCD.replace('{a: 1}', '{a: [1, 2]}'), COUNT));
    const matched = (a: string) => {
      const view = createJsonFieldView({ a, u: 'x' });
      return set.matchesOf(view, set.matchEvent(view, null)).matches.map(({ rule }) => rule);
    };
    expect([matched('1'), matched('2')]).toEqual([[0, 1], [1]]);
  });

  it('a new rule of a chain stands on the one in force, which speaks as before', () => {
    const set = both(rulesOf(ABCD, COUNT), rulesOf(ABCD, COUNT, OUTER.replace(', generate: true', '')));
    expect(brief(set)).toEqual([
      ['many', false, true, null],
      ['then', true, true, 'experimental'],
    ]);
    expect(set.chainMatchesOf(0, '["sx"]').matches.map(({ rule }) => rule)).toEqual([1]);
  });

  it('a changed inner rule brings its chain along', () => {
    const set = both(rulesOf(ABCD, COUNT, OUTER), rulesOf(ABCD, COUNT.replace('gte: 3', 'gte: 4'), OUTER));
    expect(brief(set).map(([uid, isWarming]) => [uid, isWarming])).toEqual([
      ['many', false],
      ['then', false],
      ['many', true],
      ['then', true],
    ]);
    expect(set.chainMatchesOf(0, '["sx"]').matches.map(({ rule }) => rule)).toEqual([1]);
    expect(set.chainMatchesOf(2, '["sx"]').matches.map(({ rule }) => rule)).toEqual([3]);
  });
});
