import type { CorrelationAlert, Match, MatchBatch } from '@tracehound/event-model';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { smallBatch, smallConfig, smallMatch, smallRuleSet } from '../oracle/small-log.ts';
import { createPartitionEngine, type Effect, type PartitionEngine } from './engine.ts';
import { fairShares } from './eviction.ts';
import { takeLeast } from './least.ts';
import { type Breaker, ENGINE_LIMITS, type EngineLimits } from './limits.ts';

const T0 = 1_700_000_000_000;
const HOUR_MS = 3_600_000;
const COUNT = smallRuleSet([{ name: 'count', type: 'event_count', spanMs: HOUR_MS, threshold: 3 }]);

function create(limits: Partial<EngineLimits>): PartitionEngine {
  const whole = { ...ENGINE_LIMITS, ...limits };
  return createPartitionEngine({ ...smallConfig([COUNT]), limits: () => whole });
}

/** Feeds one engine batch by batch. */
function feed(engine: PartitionEngine, from = 0): (fields: readonly Field[], watermark?: number) => Alerts {
  let to = from;
  return (fields, watermark = T0 - 1) => {
    const prevTo = to;
    const matches = fields.map((field) => matchOf(field, to++));
    const batch = smallBatch(COUNT, { prev_to: prevTo, to, watermark, matches });
    return alertsOf(engine.apply(batch, Math.max(0, engine.nextOffset)));
  };
}

type Field = {
  readonly key: string;
  readonly id: string;
  readonly atMs: number;
  readonly organization?: string;
};
type Alerts = readonly CorrelationAlert[];

function matchOf(field: Field, offset: number): Match {
  return smallMatch({
    event_id: field.id,
    event_time: T0 + field.atMs,
    group_key: `["s:${field.key}"]`,
    organization_id: field.organization ?? 'acme',
    source_offset: offset,
  });
}

function alertsOf(effects: readonly Effect[]): Alerts {
  return effects.flatMap((effect) => (effect.kind === 'alert' ? [effect.alert] : []));
}

function bomb(from: number, count: number, organization = 'acme') {
  return Array.from({ length: count }, (_, n) => ({
    key: `bomb-${from + n}`,
    id: `b${organization}${from + n}`,
    atMs: from + n,
    organization,
  }));
}

describe('who is let go', () => {
  it('the groups with the fewest steps, then the stalest; the limit is undercut by a sixteenth', () => {
    const engine = create({ ruleGroupsMax: 16 });
    const apply = feed(engine);
    apply([
      { key: 'slow', id: 's1', atMs: 0 },
      { key: 'slow', id: 's2', atMs: 1 },
    ]);
    const [degraded, ...others] = apply(bomb(10_000, 16));
    expect(others).toEqual([]);
    expect(degraded).toMatchObject({
      kind: 'DEGRADED',
      organization_id: 'acme',
      rule: { rule_id: 'count' },
      reason: 'state_pressure',
      // The stalest two of the bomb: from their hits to where no window and no gap can reach them.
      first_at: T0 + 10_000,
      last_at: T0 + 10_001 + 2 * HOUR_MS,
    });
    expect(engine.liveGroups).toBe(15);
    expect(engine.counters().evicted).toBe(2);
    // The slow one is still there.
    expect(apply([{ key: 'slow', id: 's3', atMs: 2 }])).toMatchObject([
      { kind: 'OPEN', event_ids: ['s1', 's2', 's3'] },
    ]);
  });

  it('only the limits of the activation that a batch names, and the batch waits for an activation that is not known', () => {
    const limits = new Map([['a1', { ...ENGINE_LIMITS, ruleGroupsMax: 8 }]]);
    const engine = createPartitionEngine({ ...smallConfig([COUNT]), limits: (id) => limits.get(id) });
    const batch = smallBatch(COUNT, { prev_to: 0, to: 20, watermark: T0 - 1, matches: bomb(0, 20).map(matchOf) });
    expect(() => engine.apply({ ...batch, activation_id: 'a2' }, 0)).toThrow(/activation/);
    expect(engine.nextOffset).toBe(-1);
    limits.set('a2', ENGINE_LIMITS);
    engine.apply({ ...batch, activation_id: 'a2' }, 0);
    expect(engine.liveGroups).toBe(20);
    // Other limits hold at once, also for what is there already.
    engine.apply(smallBatch(COUNT, { prev_to: 20, to: 20, watermark: T0 - 1 }), 1);
    expect(engine.liveGroups).toBe(7);
  });

  it('an open alert of a group that is let go ends, marked, and so is what is said later about those times', () => {
    const engine = create({ ruleGroupsMax: 1 });
    const apply = feed(engine);
    const [open] = apply(['e1', 'e2', 'e3'].map((id, atMs) => ({ key: 'hot', id, atMs })));
    expect(open).toMatchObject({ kind: 'OPEN', degraded: false, reason: null });
    const said = apply(['f1', 'f2', 'f3'].map((id, atMs) => ({ key: 'other', id, atMs })));
    expect(said.map(({ kind, degraded, reason }) => [kind, degraded, reason])).toEqual([
      ['OPEN', false, null],
      ['END', true, 'state_pressure'],
      ['END', true, 'state_pressure'],
      ['DEGRADED', true, 'state_pressure'],
    ]);
    expect(said[1]?.alert_id).toBe(open?.alert_id);
    const [again] = apply(['g1', 'g2', 'g3'].map((id, n) => ({ key: 'third', id, atMs: 1000 + n })));
    expect(again).toMatchObject({ kind: 'OPEN', degraded: true, reason: 'state_pressure' });
    const far = 2 * HOUR_MS + 10_000;
    const [clean] = apply(['h1', 'h2', 'h3'].map((id, n) => ({ key: 'fourth', id, atMs: far + n })));
    expect(clean).toMatchObject({ kind: 'OPEN', degraded: false, reason: null });
  });

  it('bytes count too: one organization of many hits gives way, the others keep theirs', () => {
    const engine = create({ organizationBytesMax: 20_000 });
    const apply = feed(engine);
    apply(bomb(0, 10, 'umbrella'));
    const said = apply(bomb(0, 200, 'mallory'));
    expect([...new Set(said.map(({ organization_id }) => organization_id))]).toEqual(['mallory']);
    expect(engine.liveGroups).toBe(10 + Math.floor((20_000 * 15) / 16 / 336));
  });
});

describe('usage', () => {
  it('tells what each rule takes in each organization, and which are degraded', () => {
    const engine = create({ ruleGroupsMax: 16 });
    const apply = feed(engine);
    apply([...bomb(0, 20), ...bomb(0, 5, 'umbrella')]);
    const usage = () => [...engine.usage()].sort((a, b) => (a.organization < b.organization ? -1 : 1));
    const [acme, umbrella] = [15, 5].map((groups) => ({ ruleId: 'count', groups, bytes: groups * 336 }));
    expect(usage()).toEqual([
      { ...acme, organization: 'acme', isDegraded: true },
      { ...umbrella, organization: 'umbrella', isDegraded: false },
    ]);
    apply([], T0 + 3 * HOUR_MS);
    expect(usage()).toEqual([{ ruleId: 'count', groups: 0, bytes: 0, organization: 'acme', isDegraded: true }]);
  });
});

describe('breakers of an activation (X7)', () => {
  const breaker: Breaker = {
    organization: 'mallory',
    ruleId: 'count',
    cause: 'breaker:7',
    fromMs: T0 - 1000,
    toMs: T0 + 5000,
  };
  const config = { ...smallConfig([COUNT]), breakers: (id: string) => (id === 'tripped' ? [breaker] : []) };
  const batchAt = (offset: number, fields: Partial<MatchBatch>) =>
    smallBatch(COUNT, { prev_to: offset, to: offset, watermark: T0 - 1, ...fields });

  it('are a degraded range of that rule and organization, said once, whatever the owner goes through', () => {
    const engine = createPartitionEngine(config);
    const [said, ...others] = alertsOf(engine.apply(batchAt(0, { activation_id: 'tripped' }), 0));
    expect(others).toEqual([]);
    expect(said).toMatchObject({
      kind: 'DEGRADED',
      organization_id: 'mallory',
      rule: { rule_id: 'count' },
      reason: 'breaker',
      // An episode that ends an hour before may have gone on.
      first_at: T0 - 1000 - HOUR_MS,
      last_at: T0 + 5000 + 2 * HOUR_MS,
    });
    const next = createPartitionEngine(config);
    next.load(engine.metaBlob(), []);
    for (const owner of [engine, next]) {
      expect(owner.apply(batchAt(0, { activation_id: 'tripped' }), 1)).toEqual([]);
      expect(owner.usage()).toMatchObject([{ ruleId: 'count', organization: 'mallory', isDegraded: true }]);
      // Long after, the activation may still be in force: there is nothing left to say.
      owner.apply(batchAt(0, { watermark: T0 + 100 * HOUR_MS }), 2);
      expect(owner.apply(batchAt(0, { activation_id: 'tripped' }), 3)).toEqual([]);
      expect(owner.metaBlob()[0]).toBe(2);
    }
  });

  it('mark what is said about those times, and nothing of other organizations', () => {
    const engine = createPartitionEngine(config);
    engine.apply(batchAt(0, { activation_id: 'tripped' }), 0);
    const fields = ['mallory', 'acme'].flatMap((organization) =>
      ['1', '2', '3'].map((id, atMs) => ({ key: 'k', id: organization + id, atMs, organization })),
    );
    const said = feed(engine)(fields);
    expect(
      said.map(({ kind, organization_id, degraded, reason }) => [kind, organization_id, degraded, reason]),
    ).toEqual([
      ['OPEN', 'mallory', true, 'breaker'],
      ['OPEN', 'acme', false, null],
    ]);
  });
});

describe('X8 state versions, both ways', () => {
  it('without a degraded rule the meta is what the release before reads; with one it is of version 3', () => {
    const engine = create({ ruleGroupsMax: 16 });
    const apply = feed(engine);
    apply(bomb(0, 10));
    const before = engine.metaBlob();
    expect(before[0]).toBe(2);
    apply(bomb(10, 10));
    const after = engine.metaBlob();
    expect(after[0]).toBe(3);
    const blobs = engine.takeDirty().flatMap(({ groupId, blob }) => (blob ? [[groupId, blob] as const] : []));
    const other = create({ ruleGroupsMax: 16 });
    other.load(after, blobs);
    expect(other.metaBlob()).toEqual(after);
    expect(feed(other, 20)(bomb(20, 10))).toEqual(apply(bomb(20, 10)));
    // Version 2, as the release before wrote it, begins without losses.
    const older = create({});
    older.load(before, []);
    expect(older.metaBlob()[0]).toBe(2);
  });

  it('once nothing more can be said about the range, the meta goes back to version 2', () => {
    const engine = create({ ruleGroupsMax: 16 });
    const apply = feed(engine);
    apply(bomb(0, 20));
    apply([], T0 + 24 * HOUR_MS);
    expect(engine.metaBlob()[0]).toBe(3);
    apply([], T0 + 29 * HOUR_MS);
    expect(engine.metaBlob()[0]).toBe(2);
  });
});

describe('takeLeast', () => {
  it('takes the same as a sort, whatever the order', () => {
    const items = fc.uniqueArray(fc.integer({ min: 0, max: 500 }), { maxLength: 120 });
    fc.assert(
      fc.property(items, fc.integer({ min: -3, max: 2000 }), (list, need) => {
        const order = { weightOf: (item: number) => item % 7, compare: (a: number, b: number) => a - b };
        const wanted: number[] = [];
        let sum = 0;
        for (const item of [...list].sort((a, b) => a - b)) {
          if (sum >= need) break;
          sum += item % 7;
          wanted.push(item);
        }
        expect(takeLeast([...list], need, order).sort((a, b) => a - b)).toEqual(wanted);
      }),
      { numRuns: 2000 },
    );
  });

  it('costs O(n) for orders that are sorted, reversed or all but equal', () => {
    const size = 50_000;
    for (const value of [(n: number) => n, (n: number) => -n, (n: number) => n % 3]) {
      const items = Array.from({ length: size }, (_, n) => ({ value: value(n), n }));
      let compared = 0;
      const compare = (a: (typeof items)[number], b: (typeof items)[number]): number => {
        compared++;
        return a.value - b.value || a.n - b.n;
      };
      takeLeast(items, size / 8, { weightOf: () => 1, compare });
      expect(compared).toBeLessThan(size * 8);
    }
  });
});

describe('fairShares', () => {
  it('cuts the largest to one level, and leaves alone who is below', () => {
    expect(fairShares([100, 10, 10], 30)).toEqual([30, 0, 0]);
    expect(fairShares([50, 40, 10], 30)).toEqual([20, 10, 0]);
    expect(fairShares([5, 5], 100)).toEqual([5, 5]);
    expect(fairShares([], 5)).toEqual([]);
    fc.assert(
      fc.property(fc.array(fc.nat(1000), { minLength: 1 }), fc.nat(5000), (sizes, need) => {
        const shares = fairShares(sizes, need);
        const sum = shares.reduce((total, share) => total + share, 0);
        const all = sizes.reduce((total, size) => total + size, 0);
        expect(sum).toBeGreaterThanOrEqual(Math.min(need, all));
        expect(sum).toBeLessThan(need + sizes.length + 1);
        const left = sizes.map((size, index) => size - (shares[index] ?? 0));
        // Nobody who gave is left with less than a whole less than anybody who gave nothing.
        const level = Math.min(...left.filter((_, index) => (shares[index] ?? 0) > 0), Number.POSITIVE_INFINITY);
        expect(Math.max(0, ...left)).toBeLessThanOrEqual(level + 1);
      }),
    );
  });
});
