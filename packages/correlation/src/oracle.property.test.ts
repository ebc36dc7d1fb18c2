import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type FinalAlert, finalsOfRuleSet } from '../oracle/index.ts';
import { createRandom } from '../oracle/random.ts';
import { createRichWorld, WORLD_PARTS } from '../oracle/rich-world.ts';
import { oracleEvents, type World } from '../oracle/world.ts';

/** What must be true of the oracle's answers whatever the world: it is not right because the engine agrees with it. */
const seeds = fc.integer({ min: 0, max: 2 ** 30 });
const numRuns = Math.ceil(Number(process.env['TRACEHOUND_PROPERTY_RUNS'] ?? 400) / 10);

function hitsOf(world: World) {
  return world.rules.map((_, index) => oracleEvents(world, index, world.events));
}

describe.each(WORLD_PARTS)('oracle, worlds with %s', (focus) => {
  const worldOf = (seed: number): World => createRichWorld(seed, { parts: WORLD_PARTS, focus });

  it('does not depend on the order of events or on copies', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const world = worldOf(seed);
        const hits = hitsOf(world);
        const random = createRandom(seed);
        const shuffled = hits.map((events) => random.shuffle([...events, ...events.slice(0, 3)]));
        expect(finalsOfRuleSet(world.ruleSet, shuffled)).toEqual(finalsOfRuleSet(world.ruleSet, hits));
      }),
      { numRuns },
    );
  });

  it('keeps organizations apart and names only events of the rule and group', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const world = worldOf(seed);
        const all = finalsOfRuleSet(world.ruleSet, hitsOf(world));
        const apart = ['acme', 'umbrella'].map((organization) =>
          finalsOfRuleSet(
            world.ruleSet,
            hitsOf(world).map((events) => events.filter((event) => event.organization === organization)),
          ),
        );
        for (const [index, finals] of all.entries()) {
          expect([...(apart[0]?.[index] ?? []), ...(apart[1]?.[index] ?? [])]).toEqual(finals);
          for (const final of finals) checkFinal(final);
        }
      }),
      { numRuns },
    );
  });

  it('is not vacuous: a fair share of the worlds alerts', () => {
    let speaking = 0;
    for (let seed = 0; seed < 40; seed++) {
      const world = worldOf(seed);
      const [first = []] = finalsOfRuleSet(world.ruleSet, hitsOf(world));
      if (first.length > 0) speaking++;
    }
    expect(speaking).toBeGreaterThan(5);
  });
});

function checkFinal(final: FinalAlert): void {
  expect(final.firstAtMs).toBeLessThanOrEqual(final.lastAtMs);
  expect(final.eventIds).toEqual([...new Set(final.eventIds)].sort());
  if (final.triggerId !== null && final.eventIds.length === 0) expect(final).toBeUndefined();
}

describe('oracle, modes', () => {
  /** Which groups fire does not depend on the mode. */
  it('the same groups fire in suppress, reset and every; the first time too; reset is a part of every', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const parts = WORLD_PARTS.filter((part) => !['chain', 'expect', 'suppress_ms'].includes(part));
        const world = createRichWorld(seed, { parts });
        const answers = (['suppress', 'reset', 'every'] as const).map((onMatch) => {
          const correlations = world.ruleSet.correlations.map((rule) => ({
            ...rule,
            definition: { ...rule.definition, onMatch },
          }));
          return finalsOfRuleSet({ correlations }, hitsOf(world));
        });
        for (const index of world.rules.keys()) {
          const [suppress = [], reset = [], every = []] = answers.map((answer) => answer[index]);
          expect(groupsOf(reset)).toEqual(groupsOf(suppress));
          expect(groupsOf(every)).toEqual(groupsOf(suppress));
          const triggers = new Set(every.map(keyOf));
          expect(reset.filter((final) => !triggers.has(keyOf(final)))).toEqual([]);
        }
      }),
      { numRuns: numRuns * 5 },
    );
  });
});

function groupsOf(finals: readonly FinalAlert[]): string[] {
  return [...new Set(finals.map(({ organization, group }) => `${organization} ${group}`))].sort();
}

function keyOf({ organization, group, triggerId }: FinalAlert): string {
  return `${organization} ${group} ${triggerId}`;
}
