import { ACTIVATION_LIMITS, BREAKERS_MAX } from '@tracehound/correlation';
import type { RuleActivation } from '@tracehound/event-model';
import { describe, expect, it } from 'vitest';
import { Activations } from './activations.ts';
import { breakerProposal, TRIPPED_MS } from './breaker-proposal.ts';
import { isWithheld } from './breakers.ts';

const FIRST: RuleActivation = {
  schema_rev: 1,
  activation_id: 'first',
  ruleset_id: 'set',
  lateness_ms: 120_000,
  clock_allowance_ms: 1_000,
  sources_version: 1,
  sources: [],
  effective_at: 0,
  created_at: 0,
  principal: 'ada',
  ...ACTIVATION_LIMITS,
  reason: null,
  breakers: [],
  based_on: null,
  matches_topic_id: null,
  matches_partitions: null,
};
const FLOOD = { organizationId: 'mallory', ruleId: 'spray', reason: '1000 matches of 10 events within 10 s' };
const at = (brokerTimeMs: number, id: string) => {
  let count = 0;
  return { brokerTimeMs, nowMs: 5, newId: () => (count++ === 0 ? id : `${id}-${count}`) };
};

function started(): Activations {
  const activations = new Activations();
  activations.add(FIRST, 0);
  return activations;
}

function proposed(activations: Activations, brokerTimeMs: number, id: string, flood = FLOOD): RuleActivation {
  const [activation] = breakerProposal(activations, flood, at(brokerTimeMs, id));
  if (activation === undefined) throw new Error('nothing was proposed');
  return activation;
}

describe('a breaker', () => {
  it('X7 holds by append time alone: from its activation on until it is half open, for one rule and organization', () => {
    const activations = started();
    const tripped = proposed(activations, 100_000, 'trip');
    expect(tripped).toMatchObject({
      effective_at: 108_000,
      principal: 'system:breaker',
      based_on: 'first',
      reason: '1000 matches of 10 events within 10 s',
    });
    expect(activations.add(tripped, 100_500)).toBe('accepted');
    const withheld = (appendTimeMs: number, organizationId = 'mallory', ruleId = 'spray'): boolean => {
      const activation = activations.at(appendTimeMs)?.activation ?? FIRST;
      return isWithheld(activation, { organizationId, ruleId, appendTimeMs });
    };
    const until = 108_000 + TRIPPED_MS;
    expect([107_999, 108_000, until - 1, until].map((ms) => withheld(ms))).toEqual([false, true, true, false]);
    expect(withheld(200_000, 'acme')).toBe(false);
    expect(withheld(200_000, 'mallory', 'other')).toBe(false);
  });

  it('is not proposed while it stands, and again once it is over', () => {
    const activations = started();
    activations.add(proposed(activations, 100_000, 'trip'), 100_500);
    expect(breakerProposal(activations, FLOOD, at(110_000, 'again'))).toEqual([]);
    const other = proposed(activations, 110_000, 'other', { ...FLOOD, organizationId: 'acme' });
    expect(other.breakers.map(({ organization_id }) => organization_id)).toEqual(['mallory', 'acme']);
    const later = proposed(activations, 120_000 + TRIPPED_MS, 'later');
    expect(later.breakers.map(({ from }) => from)).toEqual([128_000 + TRIPPED_MS]);
  });

  it('holds at once and in what is announced, which keeps its time and its rules', () => {
    const activations = started();
    const announced = { ...FIRST, activation_id: 'announced', ruleset_id: 'next', effective_at: 500_000 };
    activations.add(announced, 100_000);
    const both = breakerProposal(activations, FLOOD, at(101_000, 'trip'));
    expect(both.map(({ effective_at, ruleset_id, based_on }) => [effective_at, ruleset_id, based_on])).toEqual([
      [109_000, 'set', 'announced'],
      [500_000, 'next', 'trip'],
    ]);
    expect(both.map((activation) => activations.add(activation, 101_500))).toEqual(['accepted', 'accepted']);
    for (const appendTimeMs of [109_000, 499_999, 500_000]) {
      const holding = activations.at(appendTimeMs)?.activation ?? FIRST;
      expect(holding.ruleset_id).toBe(appendTimeMs < 500_000 ? 'set' : 'next');
      expect(isWithheld(holding, { organizationId: 'mallory', ruleId: 'spray', appendTimeMs })).toBe(true);
    }
    expect(breakerProposal(activations, FLOOD, at(102_000, 'again'))).toEqual([]);
  });

  it('never undoes what was published in between: a copy of an older activation does not count', () => {
    const activations = started();
    const tripped = proposed(activations, 100_000, 'trip');
    activations.add({ ...FIRST, activation_id: 'applied', ruleset_id: 'next', effective_at: 108_000 }, 100_100);
    expect(activations.add(tripped, 100_500)).toBe('stale');
    expect(activations.latest()?.activation.ruleset_id).toBe('next');
    // Two members that see the same flood: one of them trips it.
    const [one, two] = ['one', 'two'].map((id) => proposed(activations, 101_000, id)) as [
      RuleActivation,
      RuleActivation,
    ];
    expect([activations.add(one, 101_500), activations.add(two, 101_501)]).toEqual(['accepted', 'stale']);
  });

  it('there are a hundred at most', () => {
    const activations = new Activations();
    const breakers = Array.from({ length: BREAKERS_MAX }, (_, n) => ({
      organization_id: `o${n}`,
      rule_id: 'spray',
      from: 0,
      until: 1_000_000,
    }));
    activations.add({ ...FIRST, breakers }, 0);
    expect(breakerProposal(activations, FLOOD, at(100_000, 'more'))).toEqual([]);
    expect(proposed(activations, 2_000_000, 'more').breakers).toHaveLength(1);
  });
});
