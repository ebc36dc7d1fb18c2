import { describe, expect, test } from 'vitest';
import { coverageOf, navigatorLayer } from './coverage.ts';
import { readRules } from './lint.ts';
import { listRules } from './rule-list.ts';

const detection = (name: string, tags: string, extra = 'status: test'): string =>
  `title: ${name}\nname: ${name}\n${extra}\ntags: [${tags}]\nlogsource: {product: tracehound, service: auth}\ndetection:\n  selection: {event_type: auth.login.failure}\n  condition: selection\nlevel: low\n`;
const COUNT =
  'title: Many\nname: many\ntags: [attack.t1110.003]\ncorrelation:\n  type: event_count\n  rules: [failed]\n  group-by: [actor.id]\n  timespan: 5m\n  condition: {gte: 5}\nlevel: high\n';
const OUTER = COUNT.replaceAll('many', 'outer').replace('[failed]', '[many, gone]').replace('5m', '1h');

const rules = (...contents: readonly string[]): ReturnType<typeof readRules> =>
  readRules(contents.map((content, at) => ({ path: `${at}.yml`, content })));

describe('coverage', () => {
  const coverage = coverageOf(
    rules(
      detection('failed', 'attack.credential-access, attack.t1110'),
      COUNT,
      detection('moved', 'attack.t1002'),
      detection('later', 'attack.t1685, attack.t9999'),
      detection('retired', 'attack.t1078', 'status: deprecated'),
      detection('bare', 'attack.execution'),
    ),
  );

  test('counts sub-techniques for their technique, and follows ids that moved', () => {
    const access = coverage.tactics.find(({ tactic }) => tactic === 'credential-access');
    expect(access).toMatchObject({
      covered: 1,
      rules: 2,
      by_technique: [{ id: 'T1110', name: 'Brute Force', rules: 2 }],
    });
    expect(access?.gaps.map(({ id }) => id)).toContain('T1003');
    expect(access?.gaps.map(({ id }) => id)).not.toContain('T1110');
    expect([...coverage.techniques.keys()]).toEqual(['T1110', 'T1110.003', 'T1560']);
  });

  test('names what is outside of the pinned version, and rules without technique', () => {
    expect(coverage.outside).toEqual([
      { id: 'T1685', later: true, rules: ['later'] },
      { id: 'T9999', later: false, rules: ['later'] },
    ]);
    expect(coverage.without_technique).toEqual(['bare']);
    expect(coverage.rules).toBe(5);
  });

  test('the layer is of format 4.5 and names its ATT&CK version', () => {
    const layer = navigatorLayer(coverage, 'x');
    expect(layer.versions).toEqual({ attack: '18', navigator: '5.1.0', layer: '4.5' });
    expect(layer.domain).toBe('enterprise-attack');
    expect(layer.techniques.map(({ techniqueID, score }) => [techniqueID, score])).toEqual([
      ['T1110', 1],
      ['T1110.003', 1],
      ['T1560', 1],
    ]);
    expect(layer.techniques[0]?.showSubtechniques).toBe(true);
    expect(layer.description).toContain('T1685');
  });
});

test('a listing names events, sources and the graph of correlations', () => {
  const [failed, many, outer] = listRules(rules(detection('failed', 'attack.t1110'), COUNT, OUTER));
  expect(failed).toMatchObject({ type: 'detection', used_by: ['many'], depth: 0, log_sources: ['tracehound/auth'] });
  expect(many).toMatchObject({
    type: 'event_count',
    group_by: ['actor.id'],
    timespan: '5m',
    stands_on: ['failed'],
    used_by: ['outer'],
    event_types: [{ name: 'auth.login.failure', record: 'AuthenticationEvent', topic: 'security.events' }],
  });
  expect(outer).toMatchObject({ stands_on: ['many', 'gone (unknown)'], depth: 1, timespan: '1h' });
});
