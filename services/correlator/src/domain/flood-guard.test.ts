import type { CorrelationRule, RuleMatch } from '@tracehound/sigma';
import { describe, expect, it } from 'vitest';
import type { Trip } from './breakers.ts';
import { FloodGuard } from './flood-guard.ts';

const rules = { correlations: [{ uid: 'r0' }, { uid: 'r1' }] as CorrelationRule[] };

function create(perEventMax: number, matchesMin: number) {
  const floods: Trip[] = [];
  const guard = new FloodGuard({ perEventMax, matchesMin, onFlood: (flood) => void floods.push(flood) });
  /** Events of an organization, each with so many matches of the rule. */
  const see = (organizationId: string, atMs: number, events: number, perEvent: number, rule = 0): void => {
    const match: RuleMatch = { rule, step: 0, group_key: '[]', value: null, number: null };
    const matches = Array.from({ length: perEvent }, () => match);
    for (let event = 0; event < events; event++) guard.saw({ organizationId, appendTimeMs: atMs, matches, rules });
  };
  return { floods, see };
}

describe('match floods', () => {
  it('are told once per window, with the rule and the organization', () => {
    const { floods, see } = create(4, 100);
    see('acme', 0, 1_000, 1);
    see('mallory', 1, 100, 5, 1);
    expect(floods).toEqual([
      { organizationId: 'mallory', ruleId: 'r1', reason: '100 matches of 20 events within 10 s' },
    ]);
    // The next window, in append time.
    see('mallory', 10_000, 100, 5, 1);
    expect(floods).toHaveLength(2);
  });

  it('need both: many matches, and many of each event', () => {
    const { floods, see } = create(4, 100);
    see('acme', 0, 10, 9);
    see('acme', 20_000, 10_000, 4);
    // Events without a match count too.
    see('umbrella', 40_000, 1_000, 0);
    see('umbrella', 40_000, 200, 5);
    expect(floods).toEqual([]);
  });

  it('organizations that a sender makes up do not grow the memory', () => {
    const { floods, see } = create(1, 3);
    for (let n = 0; n < 10_000; n++) see(`made-up-${n}`, 0, 1, 1);
    see('late', 0, 3, 2);
    expect(floods).toEqual([{ organizationId: 'late', ruleId: 'r0', reason: '3 matches of 2 events within 10 s' }]);
    see('later', 0, 3, 2);
    expect(floods.map(({ organizationId }) => organizationId)).toEqual(['late', 'later']);
  });
});
