import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { flooded } from '../oracle/flood.ts';
import { effectLog, runWithRestarts, versionsInTurns } from '../oracle/restarts.ts';
import { createRichWorld, WORLD_PARTS } from '../oracle/rich-world.ts';
import { configOf } from '../oracle/run.ts';
import { type ArrivalOptions, arriveAt, createWorld, type World } from '../oracle/world.ts';
import { createPartitionEngine, type PartitionEngine, type PartitionEngineConfig } from './engine.ts';
import { ENGINE_LIMITS, type EngineLimits } from './limits.ts';
import type { EngineMemory } from './memory.ts';

const EVERYTHING: ArrivalOptions = { late: true, duplicates: true, resent: true, border: true };
const seeds = fc.integer({ min: 0, max: 2 ** 30 });
const numRuns = Number(process.env['TRACEHOUND_PROPERTY_RUNS'] ?? 300);

/** Only what is in use stays: two groups decoded, and some packed bytes. */
function tiny(packedBytesMax: number): EngineMemory {
  return { decodedGroupsMax: 2, decodedBytesMax: 2 ** 26, packedBytesMax };
}

// Chain hits go through the log, whose records the simulation of the correlator gives back.
const PARTS = WORLD_PARTS.filter((part) => part !== 'chain');

function worldOf(seed: number): World {
  const base = seed % 3 === 0 ? createWorld(seed) : createRichWorld(seed, { parts: PARTS });
  return seed % 2 === 0
    ? base
    : flooded(base, seed, { organization: 'acme', step: seed % 4 === 1 ? 0 : 1, events: 40 });
}

function create(
  world: World,
  config: Pick<PartitionEngineConfig, 'memory' | 'stateVersion'>,
  limits: Partial<EngineLimits> = {},
): PartitionEngine {
  const whole = { ...ENGINE_LIMITS, ...limits };
  return createPartitionEngine({ ...configOf(world), chains: 'effects', ...config, limits: () => whole });
}

describe('X8 cold groups', () => {
  it('E1 what lies in the store alone changes no record, no counter and no byte of state', () => {
    let brought = 0;
    fc.assert(
      fc.property(seeds, fc.integer({ min: 0, max: 4_000 }), (seed, packedBytesMax) => {
        const world = worldOf(seed);
        const { batches } = arriveAt(world, seed, EVERYTHING);
        const clean = create(world, {});
        const wanted = effectLog(clean, batches);
        const stateVersion = versionsInTurns(seed);
        const open = () => create(world, { memory: tiny(packedBytesMax), stateVersion: stateVersion() });
        const run = runWithRestarts(open, batches, seed);
        brought += run.brought;
        expect(run.log).toEqual(wanted);
        expect(run.differing).toBe(0);
        expect(run.engine.counters()).toEqual(clean.counters());
        expect(run.engine.usage()).toEqual(clean.usage());
        expect(run.engine.metaBlob()).toEqual(clean.metaBlob());
      }),
      { numRuns },
    );
    expect(brought).toBeGreaterThan(numRuns);
  }, 120_000);

  it('X14 limits let go of cold groups as of any others, and say the same range', () => {
    let evicted = 0;
    fc.assert(
      fc.property(seeds, fc.integer({ min: 3, max: 30 }), fc.boolean(), (seed, most, inBytes) => {
        const world = flooded(worldOf(seed), seed, { organization: 'acme', step: 0, events: 40 });
        const limits = inBytes ? { bytesMax: most * 600 } : { groupsMax: 2 * most, ruleGroupsMax: most };
        const { batches } = arriveAt(world, seed, EVERYTHING);
        const clean = create(world, {}, limits);
        const wanted = effectLog(clean, batches);
        const run = runWithRestarts(() => create(world, { memory: tiny(0) }, limits), batches, seed);
        evicted += run.engine.counters().evicted;
        expect(run.log).toEqual(wanted);
        expect(run.engine.metaBlob()).toEqual(clean.metaBlob());
      }),
      { numRuns },
    );
    expect(evicted).toBeGreaterThan(numRuns * 5);
  }, 120_000);
});
