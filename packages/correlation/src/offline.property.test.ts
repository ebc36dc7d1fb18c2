import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { finalsOfRuleSet } from '../oracle/index.ts';
import { createRandom } from '../oracle/random.ts';
import { createRichWorld, WORLD_PARTS } from '../oracle/rich-world.ts';
import { createWorld, oracleEvents, type World, type WorldEvent } from '../oracle/world.ts';
import { createOfflineEngine, type OfflineFinal } from './offline.ts';

const seeds = fc.integer({ min: 0, max: 2 ** 30 });
const RUNS = Number(process.env['TRACEHOUND_PROPERTY_RUNS'] ?? 1000);

type Arrived = { readonly event: WorldEvent; readonly orderMs: number };

/** The events out of order by less than the lateness, some of them twice; in some ways a straggler in file order, or all sorted. */
function arrive(world: World, way: number): readonly Arrived[] {
  const random = createRandom(way ^ 0x3c6ef372);
  const delayMost = random.pick([0, world.latenessMs, world.latenessMs / 20]);
  return world.events
    .flatMap((event) =>
      Array.from({ length: random.pick([1, 1, 1, 2, 3]) }, () => ({
        event,
        orderMs: event.timeMs + Math.floor((random.below(1000) / 1000) * delayMost),
      })),
    )
    .sort((a, b) => a.orderMs - b.orderMs);
}

type Run = { readonly finals: readonly OfflineFinal[]; readonly watermarkMs: number };

function run(world: World, way: number): Run {
  const engine = createOfflineEngine(world.ruleSet);
  const random = createRandom(way);
  const finals: OfflineFinal[] = [];
  const rarely = random.pick([1, 1, 0.2, 0]);
  let newestMs = Number.NEGATIVE_INFINITY;
  let highestMs = Number.NEGATIVE_INFINITY;
  for (const { event } of arrive(world, way)) {
    newestMs = Math.max(newestMs, event.timeMs);
    const watermarkMs = newestMs - world.latenessMs;
    if (random.chance(rarely)) {
      highestMs = watermarkMs;
      const spoken = engine.advance(watermarkMs);
      // What is spoken at a watermark was due below it, and comes in the order in which it was decided.
      for (const { dueMs } of spoken) expect(dueMs).toBeLessThan(watermarkMs);
      finals.push(...spoken);
    }
    for (const [rule, { hitsOf }] of world.rules.entries()) {
      for (const { group, ...hit } of hitsOf(event)) engine.add({ ...hit, rule, group_key: group }, event);
    }
  }
  finals.push(...engine.end());
  expect(engine.takeGaps()).toEqual([]);
  // Expected groups live as long as the rule does.
  if (world.rules.every(({ definition }) => definition.expect.length === 0)) expect(engine.liveGroups).toBe(0);
  const { seen, applied, duplicate_id } = engine.counters();
  expect(seen).toBe(applied + duplicate_id);
  return { finals, watermarkMs: highestMs };
}

/** All a final says: group, times, evidence and count. */
function lines(world: World, finals: readonly OfflineFinal[]): string[] {
  return finals
    .map(({ rule, organization, groupKey, firstAtMs, lastAtMs, eventIds, count }) =>
      JSON.stringify([world.rules[rule.index]?.uid, organization, groupKey, firstAtMs, lastAtMs, eventIds, count]),
    )
    .sort();
}

function oracleLines(world: World, watermarkMs: number): string[] {
  const hits = world.rules.map((_, index) => oracleEvents(world, index, world.events));
  return finalsOfRuleSet(world.ruleSet, hits, { watermarkMs })
    .flatMap((alerts, index) =>
      alerts.map(({ organization, group, firstAtMs, lastAtMs, eventIds, count }) =>
        JSON.stringify([world.rules[index]?.uid, organization, group, firstAtMs, lastAtMs, eventIds, count]),
      ),
    )
    .sort();
}

/** Time of the trigger: found by its id among the world's events; chain hits are not among them. */
function triggerLines(finals: readonly OfflineFinal[]): string[] {
  return finals
    .map(({ rule, groupKey, firstAtMs, atMs }) => JSON.stringify([rule.uid, groupKey, firstAtMs, atMs]))
    .sort();
}

function oracleTriggerLines(world: World): string[] {
  const times = new Map(world.events.map(({ id, timeMs }) => [id, timeMs]));
  const hits = world.rules.map((_, index) => oracleEvents(world, index, world.events));
  return finalsOfRuleSet(world.ruleSet, hits)
    .flatMap((alerts, index) =>
      alerts.map(({ group, firstAtMs, lastAtMs, triggerId }) => {
        const atMs = triggerId === null ? lastAtMs : times.get(triggerId);
        return JSON.stringify([world.rules[index]?.uid, group, firstAtMs, atMs]);
      }),
    )
    .sort();
}

describe('offline engine and oracle', () => {
  it('finals, counts and triggers equal the oracle for any order inside the lateness and any copies', () => {
    fc.assert(
      fc.property(seeds, fc.integer({ min: 0, max: 3 }), (seed, way) => {
        const world = createWorld(seed);
        const { finals, watermarkMs } = run(world, seed * 4 + way);
        expect(lines(world, finals)).toEqual(oracleLines(world, watermarkMs));
        expect(triggerLines(finals)).toEqual(oracleTriggerLines(world));
      }),
      { numRuns: RUNS },
    );
  }, 120_000);

  it.each(WORLD_PARTS)(
    'finals and counts equal the oracle in worlds of every part: %s',
    (focus) => {
      fc.assert(
        fc.property(seeds, fc.integer({ min: 0, max: 3 }), (seed, way) => {
          const world = createRichWorld(seed, { parts: WORLD_PARTS, focus });
          const { finals, watermarkMs } = run(world, seed * 4 + way);
          expect(lines(world, finals)).toEqual(oracleLines(world, watermarkMs));
        }),
        { numRuns: Math.ceil(RUNS / 4) },
      );
    },
    120_000,
  );
});
