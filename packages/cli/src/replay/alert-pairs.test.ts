import { describe, expect, it } from 'vitest';
import { type AlertPair, createAlertPairs, type Side } from './alert-pairs.ts';
import { createTotals } from './rule-totals.ts';

const NEVER = () => Number.NEGATIVE_INFINITY;
const ALWAYS = () => Number.POSITIVE_INFINITY;

function alert(
  side: Side,
  [first, last]: readonly [number, number],
  { rule = 'r', group = 'g', isInRange = true }: { rule?: string; group?: string; isInRange?: boolean } = {},
) {
  const event_ids = [`e${first}`, `e${last}`];
  return {
    side,
    isInRange,
    result: {
      kind: 'correlation' as const,
      rule_id: rule,
      rule_title: rule.toUpperCase(),
      level: 'high',
      author: null,
      at: new Date(last).toISOString(),
      group: { user: group },
      event_ids,
      count: 2,
    },
    final: {
      projection: { organization: 'acme', rule, group, first_at: first, last_at: last, event_ids },
      dueMs: last + 1,
    },
  };
}

function collect(pendingMax = 100, only: Partial<Record<Side, readonly string[]>> = {}) {
  const seen: string[] = [];
  const rules = { before: new Set(only.before ?? ['r', 's']), after: new Set(only.after ?? ['r', 's']) };
  const onPair = ({ change, rule_id, example }: AlertPair) =>
    void seen.push(`${change} ${rule_id} ${example.event_ids.join('-')}`);
  return { seen, pairs: createAlertPairs({ rules, pendingMax, onPair }) };
}

describe('pairs of alerts', () => {
  it('are found whichever side decides first, and held no longer', () => {
    const { seen, pairs } = collect();
    pairs.add(alert('before', [1, 2]));
    pairs.add(alert('after', [5, 6]));
    expect(pairs.pending).toBe(2);
    pairs.add(alert('after', [1, 2]));
    pairs.add(alert('before', [5, 6]));
    expect(seen).toEqual(['same r e1-e2', 'same r e5-e6']);
    expect(pairs.pending).toBe(0);
  });

  it('wait until nothing that overlaps them can come, rule by rule', () => {
    const { seen, pairs } = collect();
    pairs.add(alert('before', [1, 10]));
    pairs.add(alert('before', [1, 10], { rule: 's' }));
    pairs.settle((rule) => (rule === 'r' ? 10 : 11));
    expect(seen).toEqual(['removed s e1-e10']);
    pairs.add(alert('after', [10, 20]));
    pairs.settle(ALWAYS);
    expect(seen.slice(1)).toEqual(['changed r e10-e20']);
  });

  it('overlap in the same group only', () => {
    const { seen, pairs } = collect();
    pairs.add(alert('before', [1, 10]));
    pairs.add(alert('after', [1, 9], { group: 'other' }));
    pairs.add(alert('after', [11, 20]));
    pairs.settle(NEVER);
    expect(seen).toEqual([]);
    pairs.settle(ALWAYS);
    expect(seen).toEqual(['removed r e1-e10', 'added r e1-e9', 'added r e11-e20']);
  });

  it('one alert in place of two is one change and one that is removed', () => {
    const { seen, pairs } = collect();
    pairs.add(alert('before', [1, 3]));
    pairs.add(alert('before', [5, 8]));
    pairs.add(alert('after', [1, 8]));
    pairs.settle(ALWAYS);
    expect(seen).toEqual(['changed r e1-e8', 'removed r e5-e8']);
  });

  it('at the edges of the range count only with a partner in it', () => {
    const { seen, pairs } = collect();
    pairs.add(alert('before', [1, 2], { isInRange: false }));
    pairs.add(alert('after', [1, 2]));
    pairs.add(alert('before', [5, 6], { isInRange: false }));
    pairs.add(alert('after', [9, 10], { isInRange: false }));
    pairs.add(alert('before', [9, 10], { isInRange: false }));
    pairs.settle(ALWAYS);
    expect(seen).toEqual(['same r e1-e2']);
  });

  it('of a rule that only one side has wait for nobody', () => {
    const { seen, pairs } = collect(100, { after: ['s'] });
    pairs.add(alert('before', [1, 2]));
    expect(seen).toEqual(['removed r e1-e2']);
    expect(pairs.pending).toBe(0);
  });

  it('are settled before their time when too many wait, and counted', () => {
    const { seen, pairs } = collect(2);
    for (const first of [1, 3, 5]) pairs.add(alert('before', [first, first + 1]));
    expect(pairs).toMatchObject({ pending: 2, hurried: 1 });
    expect(seen).toEqual(['removed r e1-e2']);
  });
});

it('totals hold so many examples a rule and change, whatever comes', () => {
  const totals = createTotals({ examplesMax: 2 });
  const pair = (change: AlertPair['change'], rule_id: string, n: number): AlertPair => ({
    kind: 'correlation',
    rule_id,
    rule_title: rule_id.toUpperCase(),
    change,
    example: { at: String(n), organization_id: 'acme', group: null, count: 1, event_ids: [] },
  });
  for (let n = 0; n < 50; n++) {
    totals.add(pair('same', 'a', n));
    totals.add(pair('added', 'b', n));
    if (n < 5) totals.add(pair('removed', 'b', n));
    if (n < 7) totals.add(pair('changed', 'b', n));
  }
  const [first, second] = totals.rows();
  expect(first).toMatchObject({ rule_id: 'b', before: 12, after: 57, same: 0, changed: 7, added: 50, removed: 5 });
  expect(first?.examples.added.map(({ at }) => at)).toEqual(['0', '1']);
  expect(second).toMatchObject({ rule_id: 'a', before: 50, after: 50, added: 0, examples: { added: [], removed: [] } });
});
