import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRichWorld, WORLD_PARTS } from '../oracle/rich-world.ts';
import { brokenPromises, configOf, finalLines, oracleLines, runLog } from '../oracle/run.ts';
import { type ArrivalOptions, arriveAt, createWorld, type World } from '../oracle/world.ts';
import { createPartitionEngine } from './engine.ts';

const EVERYTHING: ArrivalOptions = { late: true, duplicates: true, resent: true, border: true };
const seeds = fc.integer({ min: 0, max: 2 ** 30 });
const RUNS = Number(process.env['TRACEHOUND_PROPERTY_RUNS'] ?? 1000);

function checkFinals(world: World, way: number): void {
  const arrival = arriveAt(world, way, EVERYTHING);
  const engine = createPartitionEngine(configOf(world));
  const { alerts, late } = runLog(engine, arrival.batches);
  expect(late).toEqual([]);
  expect(finalLines(alerts)).toEqual(oracleLines(world, arrival));
  expect(brokenPromises(alerts)).toEqual([]);
  const counters = engine.counters();
  expect(counters.seen).toBe(counters.applied + counters.duplicate_id + counters.duplicate_mark + counters.late);
  // Expected groups live as long as the rule does.
  if (world.rules.every(({ definition }) => definition.expect.length === 0)) expect(engine.liveGroups).toBe(0);
}

describe('X10 engine and oracle', () => {
  it('E2 finals equal the oracle for any order, duplicates, re-sent batches and lateness', () => {
    fc.assert(
      fc.property(seeds, fc.integer({ min: 0, max: 3 }), (seed, way) => {
        checkFinals(createWorld(seed), seed * 4 + way);
      }),
      { numRuns: RUNS },
    );
  }, 120_000);

  it.each(WORLD_PARTS)(
    'E2 finals equal the oracle in worlds of every part the engine runs: %s',
    (focus) => {
      fc.assert(
        fc.property(seeds, fc.integer({ min: 0, max: 3 }), (seed, way) => {
          checkFinals(createRichWorld(seed, { parts: WORLD_PARTS, focus }), seed * 4 + way);
        }),
        { numRuns: Math.ceil(RUNS / 4) },
      );
    },
    120_000,
  );
});
