import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { brokenPromises, configOf, finalLines, oracleLines, runLog } from '../oracle/run.ts';
import { type ArrivalOptions, arriveAt, createWorld } from '../oracle/world.ts';
import { createPartitionEngine } from './engine.ts';

const EVERYTHING: ArrivalOptions = { late: true, duplicates: true, resent: true, border: true };
const seeds = fc.integer({ min: 0, max: 2 ** 30 });

describe('X10 engine and oracle', () => {
  it('E2 finals equal the oracle for any order, duplicates, re-sent batches and lateness', () => {
    fc.assert(
      fc.property(seeds, fc.integer({ min: 0, max: 3 }), (seed, way) => {
        const world = createWorld(seed);
        const arrival = arriveAt(world, seed * 4 + way, EVERYTHING);
        const engine = createPartitionEngine(configOf(world));
        const { alerts, late } = runLog(engine, arrival.batches);
        expect(late).toEqual([]);
        expect(finalLines(alerts)).toEqual(oracleLines(world, arrival));
        expect(brokenPromises(alerts)).toEqual([]);
        const counters = engine.counters();
        expect(counters.seen).toBe(counters.applied + counters.duplicate_id + counters.duplicate_mark + counters.late);
        expect(engine.liveGroups).toBe(0);
      }),
      { numRuns: Number(process.env['TRACEHOUND_PROPERTY_RUNS'] ?? 1000) },
    );
  }, 120_000);
});
