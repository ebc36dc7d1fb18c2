import type { DetectionRule } from '@tracehound/sigma';
import { describe, expect, it } from 'vitest';
import { RuleCosts } from './rule-costs.ts';

/** Rules `r0`, `r1`, and so on. */
function detections(count: number): readonly DetectionRule[] {
  return Array.from({ length: count }, (_, index) => ({ id: `r${index}` }) as DetectionRule);
}

function create(rules: number) {
  let nowMs = 0;
  const seconds = new Map<string, number>();
  const failed: string[] = [];
  const over: [string, number][] = [];
  const slow: string[] = [];
  const costs = new RuleCosts({
    now: () => nowMs,
    shareMax: 0.1,
    onSpent: (label, more) => void seconds.set(label, (seconds.get(label) ?? 0) + more),
    onFailed: (label) => void failed.push(label),
    onOverBudget: (ruleId, share) => void over.push([ruleId, share]),
    tripShare: 0.5,
    tripMs: 1,
    onTooSlow: ({ ruleId, organizationId }) => void slow.push(`${organizationId} ${ruleId}`),
  });
  const set = { detections: detections(rules) };
  const failures: string[] = [];
  /** Events on which each rule takes that long. */
  const run = (events: number, msOf: (rule: number, organizationId: string) => number): number => {
    let timed = 0;
    for (let event = 0; event < events; event++) {
      const organizationId = ['acme', 'mallory', 'umbrella'][event % 3] ?? '';
      const { timer } = costs.watch(set, failures, organizationId);
      if (timer) timed++;
      for (let rule = 0; rule < rules; rule++) timer?.spent(rule, msOf(rule, organizationId));
      nowMs += 1;
    }
    return timed;
  };
  return { costs, set, seconds, failed, failures, over, slow, run };
}

describe('costs of rules', () => {
  it('are estimated from one event in 64, and a rule over its share is named once', () => {
    const { run, seconds, over } = create(2);
    expect(run(64_000, (rule) => (rule === 0 ? 0.2 : 0.01))).toBe(1_000);
    // 0.2 ms of each ms of log: what is true of the sample is said of all.
    expect(seconds.get('r0')).toBeCloseTo(12.8, 0);
    expect(seconds.get('r1')).toBeCloseTo(0.64, 1);
    expect(over.map(([ruleId]) => ruleId)).toEqual(['r0']);
    expect(over[0]?.[1]).toBeCloseTo(0.2, 1);
  });

  it('a rule that is too slow at two looks in a row is told with the organization that costs most', () => {
    const { run, slow } = create(2);
    const costly = (rule: number, organizationId: string): number =>
      rule === 1 && organizationId === 'mallory' ? 2 : 0.05;
    run(15_000, costly);
    expect(slow).toEqual([]);
    run(10_000, costly);
    expect(slow).toEqual(['mallory r1']);
    run(10_000, () => 0.05);
    run(15_000, costly);
    expect(slow).toEqual(['mallory r1']);
  });

  it('a rule that is asked very often, and quick each time, is not too slow', () => {
    const { run, slow, over } = create(1);
    // As fast as events come while a backlog is read: the clock of `run` goes on 1 ms an event.
    run(60_000, () => 0.9);
    expect(over).toHaveLength(1);
    expect(slow).toEqual([]);
  });

  it('a single pause of the machine trips nothing', () => {
    const { run, slow } = create(1);
    run(64, () => 9_000);
    run(40_000, () => 0.01);
    expect(slow).toEqual([]);
  });

  it('have a bounded number of labels, and all of the time under one of them', () => {
    const { run, seconds } = create(200);
    run(64 * 400, () => 0.001);
    expect(seconds.size).toBeLessThanOrEqual(51);
    const sum = [...seconds.values()].reduce((total, more) => total + more, 0);
    // 200 rules of 1 us per event; what has not been handed on yet is less than one window.
    expect(sum).toBeGreaterThan(0.2 * 64 * 400 * 0.001 * 0.5);
    expect(sum).toBeLessThanOrEqual(0.2 * 64 * 400 * 0.001 + 1e-9);
  });

  it('a rule that throws is counted and named', () => {
    const { costs, set, failed, failures } = create(2);
    costs.watch(set, failures, 'acme').failed(1, new Error('broken'));
    expect([failed, failures]).toEqual([['r1'], ['r1']]);
  });
});
