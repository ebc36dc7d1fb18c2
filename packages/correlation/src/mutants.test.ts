import { describe, expect, it } from 'vitest';
import { effectLog, runWithRestarts } from '../oracle/restarts.ts';
import { brokenPromises, configOf, finalLines, oracleLines, runLog } from '../oracle/run.ts';
import { smallBatch, smallConfig, smallMatch, smallRuleSet } from '../oracle/small-log.ts';
import { type Arrival, type ArrivalOptions, arriveAt, createWorld, type World } from '../oracle/world.ts';
import { createEngineWith, type PartitionEngine } from './engine.ts';
import type { EngineSwitches } from './switches.ts';

/**
 * The mutants of the executable model: each piece of fine print, turned off, must be noticed by one of our checks
 * within a few seeds, and the exact engine by none. A check that no mutant fails would prove nothing.
 */
const EVERYTHING: ArrivalOptions = { late: true, duplicates: true, resent: true, border: true };
const SEEDS = 60;

type Create = (world: World) => PartitionEngine;
type Check = (create: Create, seed: number) => boolean;

function arrivalOf(world: World, seed: number): Arrival {
  return arriveAt(world, seed, EVERYTHING);
}

/** E2: finals are the oracle's, nothing is late in B, and every open has its end. */
const oracle: Check = (create, seed) => {
  const world = createWorld(seed);
  const arrival = arrivalOf(world, seed);
  const { alerts, late } = runLog(create(world), arrival.batches);
  const equal = finalLines(alerts).join('\n') === oracleLines(world, arrival).join('\n');
  return equal && late.length === 0 && brokenPromises(alerts).length === 0;
};

/** E1: restarts change no byte and no order. */
const restarts: Check = (create, seed) => {
  const world = createWorld(seed);
  const { batches } = arrivalOf(world, seed);
  const run = runWithRestarts(() => create(world), batches, seed);
  return run.differing === 0 && JSON.stringify(run.log) === JSON.stringify(effectLog(create(world), batches));
};

/** X9: ids do not depend on the order of arrival: finals have the same, and opens are named by the trigger of X10.4. */
const ids: Check = (create, seed) => {
  const world = createWorld(seed);
  const [first, second] = [0, 1].map((way) => {
    const arrival = arriveAt(world, seed * 2 + way, { duplicates: true });
    return runLog(create(world), arrival.batches).alerts;
  });
  const line = (alerts = first): string =>
    (alerts ?? [])
      .filter(({ kind }) => kind === 'FINAL')
      .map(({ alert_id }) => alert_id)
      .sort()
      .join();
  // X10.4: the trigger is the event that completes the evidence, whichever arrived last.
  const timeOf = new Map(world.events.map((event) => [event.id, event.timeMs]));
  const order = (a: string, b: string): number => (timeOf.get(a) ?? 0) - (timeOf.get(b) ?? 0) || (a < b ? -1 : 1);
  const stable = (first ?? [])
    .filter(({ kind }) => kind === 'OPEN')
    .every((open) => open.trigger_event_id === open.event_ids.toSorted(order).at(-1));
  return line(first) === line(second) && stable;
};

/** X5: a log with a batch missing is refused. */
const gap: Check = (create, seed) => {
  const world = createWorld(seed);
  const { batches } = arriveAt(world, seed, {});
  const covering = batches.findIndex((batch, index) => index > 0 && batch.to > batch.prev_to && batch.prev_to > 0);
  if (covering < 0) return true;
  try {
    runLog(
      create(world),
      batches.filter((_, index) => index !== covering),
    );
    return false;
  } catch {
    return true;
  }
};

/** X4: an event exactly at the watermark is on time and prolongs the episode that ended a span before. */
function strictHolds(switches: Partial<EngineSwitches>): boolean {
  const set = smallRuleSet([{ name: 'one', type: 'event_count', spanMs: 10_000, threshold: 1 }]);
  const engine = createEngineWith(smallConfig([set]), switches);
  const match = (event_id: string, event_time: number, source_offset: number) =>
    smallMatch({ event_id, event_time, source_offset });
  engine.apply(smallBatch(set, { prev_to: 0, to: 1, watermark: 20_000, matches: [match('e1', 0, 0)] }), 0);
  engine.apply(smallBatch(set, { prev_to: 1, to: 2, watermark: 20_000, matches: [match('e2', 20_000, 1)] }), 1);
  const end = engine.apply(smallBatch(set, { prev_to: 2, to: 2, watermark: 0, end_of_input: true }), 2);
  const finals = end.filter((effect) => effect.kind === 'alert' && effect.alert.kind === 'FINAL');
  return finals.length === 1 && engine.counters().finals === 1;
}

const MUTANTS: readonly [keyof EngineSwitches, string, Check][] = [
  ['matchesBeforeWatermark', 'X4 watermark before matches', oracle],
  ['waitForAllSources', 'X4 watermark without silent sources', oracle],
  ['dropBelowMark', 'X5 re-sent part applied again', oracle],
  ['gapCheck', 'X5 gap skipped', gap],
  ['dropDuplicateIds', 'X6 duplicates counted', oracle],
  ['sortedEmission', 'X9 emission in map order', restarts],
  ['canonicalTrigger', 'X9 id from the event that arrived', ids],
  ['canonicalFinal', 'X9 final keeps the id of the open', ids],
  ['frames', 'X10.3 no frames', oracle],
  ['valueEvidenceKept', 'X10.5 value evidence from the latest hits', oracle],
  ['thinKeepsFirst', 'X10.6 thinning keeps only the last N', oracle],
  ['thinKeepsLast', 'X10.6 thinning keeps only the first N', oracle],
  ['endSuperseded', 'X10.12 superseded alerts left open', oracle],
];

function failures(check: Check, switches: Partial<EngineSwitches>): number {
  let failing = 0;
  for (let seed = 0; seed < SEEDS; seed++) {
    if (!check((world) => createEngineWith(configOf(world), switches), seed)) failing++;
  }
  return failing;
}

describe('mutants of the model', () => {
  it.each(MUTANTS)('%s: %s is noticed', (name, _, check) => {
    expect(failures(check, { [name]: false })).toBeGreaterThan(0);
  });

  it('X4 a watermark that is passed when reached is noticed', () => {
    expect(strictHolds({})).toBe(true);
    expect(strictHolds({ strictWatermark: false })).toBe(false);
  });

  it('X4 a watermark without the clock allowance is noticed', () => {
    let late = 0;
    for (let seed = 0; seed < SEEDS; seed++) {
      const world = createWorld(seed);
      const arrival = arriveAt(world, seed, { border: true, noAllowance: true });
      late += runLog(createEngineWith(configOf(world), {}), arrival.batches).late.length;
    }
    expect(late).toBeGreaterThan(0);
  });

  it.each([
    ['E2', oracle],
    ['E1', restarts],
    ['X9', ids],
    ['X5', gap],
  ] as const)('the exact engine fails no check of %s', (_, check) => {
    expect(failures(check, {})).toBe(0);
  });
});
