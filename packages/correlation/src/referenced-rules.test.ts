import { createJsonFieldView, loadRuleSet } from '@tracehound/sigma';
import { describe, expect, it } from 'vitest';
import { type OfflineEvent, oracleOffline, runOffline } from '../oracle/offline.ts';

/** From Sigma text to alerts, by engine and oracle: an event is an event, however many referenced rules it matches. */
const RULES = `title: a
name: a
logsource: {product: test}
detection: {s: {kind: x}, condition: s}
---
title: b
name: b
logsource: {product: test}
detection: {s: {kind: x}, condition: s}
---
title: two
name: two
correlation:
  type: event_count
  rules: [a, b]
  group-by: [user]
  timespan: 10s
  condition: {gte: 2}
`;

function event(id: string, timeMs: number): OfflineEvent {
  const logSource = { product: 'test', service: null, category: null };
  return { id, timeMs, organization: 'acme', view: createJsonFieldView({ kind: 'x', user: 'alice' }), logSource };
}

describe('a count over several rules', () => {
  const ruleSet = loadRuleSet([{ path: 'two.yml', content: RULES }]);

  it('counts an event of several referenced rules once', () => {
    const one = [event('e1', 1000)];
    expect(runOffline(ruleSet, one)).toEqual([]);
    expect(oracleOffline(ruleSet, 0, one)).toEqual([]);
    const both = [...one, event('e2', 2000)];
    const finals = runOffline(ruleSet, both).filter(({ kind }) => kind === 'FINAL');
    expect(finals.map(({ event_ids }) => event_ids)).toEqual([['e1', 'e2']]);
    expect(oracleOffline(ruleSet, 0, both).map(({ eventIds }) => eventIds)).toEqual([['e1', 'e2']]);
  });
});
