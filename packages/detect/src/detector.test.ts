import { createJsonFieldView, loadRuleSet } from '@tracehound/sigma';
import { describe, expect, it } from 'vitest';
import { createCorrelationExplainer, createDetector, createEventReader, createMatchStage } from './index.ts';
import type { DetectResult } from './result.ts';

const RULES = `title: Failed
name: failed
id: r-failed
author: Ada
logsource: {category: test}
detection: {s: {type: failed}, condition: s}
level: low
---
title: Odd
id: r-odd
logsource: {category: test}
detection: {s: {type: odd}, condition: s}
level: high
---
title: Burst
id: r-burst
correlation:
  type: event_count
  rules: [failed]
  group-by: [ip]
  timespan: 1m
  condition: {gte: 3}
level: high
`;
const ruleSet = loadRuleSet([{ path: 'r.yml', content: RULES }]);

type Shape = { id: string; s: number; type?: string; ip?: string; organization?: string };

function run(events: readonly Shape[], latenessMs = 60_000) {
  const detector = createDetector(ruleSet, { latenessMs });
  const results: DetectResult[] = [];
  for (const { id, s, type = 'failed', ip = 'a', organization = 'platform' } of events) {
    const view = createJsonFieldView({ type, ip });
    results.push(...detector.push({ id, timeMs: s * 1_000, organization, view, logSource: null }));
  }
  results.push(...detector.end());
  return { results, counters: detector.counters() };
}

const BURST = [1, 2, 3].map((s) => ({ id: `e${s}`, s }));

describe('createDetector', () => {
  it('tells a correlation in the agreed form', () => {
    expect(run(BURST).results).toEqual([
      {
        kind: 'correlation',
        rule_id: 'r-burst',
        rule_title: 'Burst',
        level: 'high',
        author: null,
        at: '1970-01-01T00:00:03.000Z',
        group: { ip: 'a' },
        event_ids: ['e1', 'e2', 'e3'],
        count: 3,
      },
    ]);
  });

  it('tells a detection at once, and not the steps of a correlation', () => {
    const { results } = run([
      { id: 'o', s: 5, type: 'odd' },
      { id: 'e', s: 6 },
    ]);
    expect(results).toMatchObject([{ kind: 'detection', rule_id: 'r-odd', group: null, event_ids: ['o'], count: 1 }]);
  });

  it('X6 a copy of an event has no effect', () => {
    const odd = { id: 'o', s: 5, type: 'odd' };
    const { results, counters } = run([...BURST.slice(0, 2), ...BURST.slice(0, 2), odd, odd]);
    expect(results).toHaveLength(1);
    expect(counters.duplicates).toBe(1);
  });

  it('X13 organizations are counted apart', () => {
    expect(run(BURST.map((event, n) => ({ ...event, organization: `o${n % 2}` }))).results).toEqual([]);
    const { results } = run(BURST.map((event) => ({ ...event, organization: 'o' })));
    expect(results).toMatchObject([{ organization_id: 'o' }]);
  });

  it('X3 an event further back than the lateness is counted, seen by detections and by no correlation', () => {
    const { results, counters } = run([{ id: 'n', s: 100, ip: 'b' }, ...BURST, { id: 'o', s: 2, type: 'odd' }], 50_000);
    expect(results).toMatchObject([{ rule_id: 'r-odd' }]);
    expect(counters.late).toBe(4);
    expect(run([{ id: 'n', s: 51, ip: 'b' }, ...BURST], 50_000).results).toMatchObject([{ rule_id: 'r-burst' }]);
  });

  it('E2 the order of arrival within the lateness does not matter', () => {
    const events = Array.from({ length: 60 }, (_, n) => ({
      id: `e${n}`,
      s: 10 + Math.floor(n * 1.7),
      ip: `i${n % 4}`,
    }));
    // The projection E2 compares; a count is a lower bound once a window is thinned.
    const project = (shapes: readonly Shape[]): string[] =>
      run(shapes)
        .results.map(({ count: _, ...result }) => JSON.stringify(result))
        .sort();
    const inOrder = project(events);
    expect(inOrder.length).toBeGreaterThan(0);
    for (let seed = 1; seed <= 20; seed++) {
      const shuffled = events
        .map((event, n) => ({ event, key: event.s + ((n * 7_919 * seed) % 50) }))
        .sort((a, b) => a.key - b.key)
        .map(({ event }) => event);
      expect(project(shuffled)).toEqual(inOrder);
    }
  });
});

describe('createCorrelationExplainer', () => {
  it('says what lacked and what would have fired', () => {
    const explainer = createCorrelationExplainer(ruleSet);
    const match = createMatchStage(ruleSet);
    const read = createEventReader();
    const rows = [
      { id: '1', ts: 1_000_000_000, type: 'failed', ip: 'a' },
      { id: '2', ts: 1_000_000_010, type: 'failed', ip: 'a' },
      { id: '3', ts: 1_000_000_100, type: 'failed', ip: 'a' },
      { id: '4', ts: 1_000_000_000, type: 'failed', ip: 'b' },
    ];
    for (const [line, row] of rows.entries()) {
      const event = read(row, line + 1);
      explainer.add(event, match(event));
    }
    const [rule] = ruleSet.correlations;
    const [closest, next] = rule ? explainer.closest(rule, 5) : [];
    expect(closest).toMatchObject({ group: { ip: 'a' }, holds: false, reached: '2 events, asked for: gte 3' });
    expect(closest?.missing).toBe('1 more: events until 2001-09-09T01:47:40.000Z');
    expect(closest?.would_fire_with).toEqual(['condition gte: 2', 'timespan: 100s']);
    expect(next).toMatchObject({ group: { ip: 'b' }, would_fire_with: ['condition gte: 1'] });
  });
});

describe('chains', () => {
  const CHAIN = `${RULES}---
title: Burst, then odd
id: r-chain
correlation:
  type: temporal_ordered
  rules: [r-burst, r-odd]
  group-by: [ip]
  timespan: 5m
---
title: Two of those
id: r-outer
correlation:
  type: event_count
  rules: [r-chain]
  group-by: [ip]
  timespan: 1h
  condition: {gte: 2}
`;

  it('names events as evidence, not the hits of inner correlations', () => {
    const detector = createDetector(loadRuleSet([{ path: 'r.yml', content: CHAIN }]), { latenessMs: 60_000 });
    const results: DetectResult[] = [];
    const push = (id: string, s: number, type: string) => {
      const view = createJsonFieldView({ type, ip: 'a' });
      results.push(...detector.push({ id, timeMs: s * 1_000, organization: 'platform', view, logSource: null }));
    };
    for (const [round, from] of [0, 1_200].entries()) {
      for (const n of [1, 2, 3]) push(`f${round}${n}`, from + n, 'failed');
      push(`o${round}`, from + 10, 'odd');
    }
    results.push(...detector.end());
    const outer = results.filter(({ rule_id }) => rule_id === 'r-outer');
    const inner = ['f01', 'f02', 'f03', 'f11', 'f12', 'f13', 'o0', 'o1'];
    expect(outer.map(({ event_ids, count }) => ({ event_ids, count }))).toEqual([{ event_ids: inner, count: 2 }]);
  });
});
