import { END_OF_INPUT_WATERMARK_MS } from '@tracehound/event-model';
import type { Bound, CorrelationDefinition, OrderedStep, StepExpression } from '@tracehound/sigma';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { correlationOf } from '../../oracle/definitions.ts';
import { finalAlerts } from '../../oracle/final-alerts.ts';
import type { OracleEvent } from '../../oracle/model.ts';
import { createRandom, type Random } from '../../oracle/random.ts';
import { ByteReader, ByteWriter } from '../byte-codec.ts';
import { createFirmMachine, type FirmFinal, type FirmHit, type FirmMachine, readFirmMachine } from './machine.ts';

const SPAN_MS = 20_000;
const ALERTS = { purpose: 'alerts' } as const;
const TYPES = [
  'event_count',
  'value_count',
  'value_sum',
  'value_avg',
  'value_percentile',
  'value_rarity',
  'temporal',
  'temporal_ordered',
] as const;

function boundsOf(random: Random, type: CorrelationDefinition['type']): readonly Bound[] {
  const value = type === 'value_rarity' ? random.pick([20, 34, 50]) : 1 + random.below(type === 'value_sum' ? 12 : 5);
  if (random.chance(0.5)) return [{ relation: random.pick(['gte', 'gt'] as const), value }];
  if (random.chance(0.3)) {
    return [
      { relation: 'gte', value },
      { relation: 'lt', value: value + 3 },
    ];
  }
  return [{ relation: random.pick(['lt', 'lte', 'eq', 'neq'] as const), value }];
}

function expressionOf(random: Random, depth = 0): StepExpression {
  const step = (): StepExpression => ({ op: 'step', step: random.below(4) });
  const part = (): StepExpression => (depth < 2 && random.chance(0.4) ? expressionOf(random, depth + 1) : step());
  if (random.chance(0.25)) return { op: 'at_least', count: 1 + random.below(3), steps: [0, 1, 2, 3].slice(0, 3) };
  const second = part();
  const of = [part(), random.chance(0.3) ? ({ op: 'not', of: second } as const) : second];
  return { op: random.pick(['and', 'and', 'or'] as const), of };
}

function orderedOf(random: Random): readonly OrderedStep[] {
  const negates = random.chance(0.4);
  const steps = Array.from({ length: 1 + random.below(3) }, (): OrderedStep[] => {
    const positive = { step: random.below(3), runs: random.chance(0.2) ? 2 : 1, negated: false };
    const negated = { step: random.pick([3, 3, 2]), runs: 1, negated: true };
    return negates && random.chance(0.4)
      ? random.chance(0.5)
        ? [positive, negated]
        : [negated, positive]
      : [positive];
  });
  return steps.flat();
}

function definitionOf(random: Random): CorrelationDefinition {
  const type = random.pick(TYPES);
  const ordered = type === 'temporal_ordered';
  const temporal = type === 'temporal';
  return correlationOf({
    type,
    spanMs: SPAN_MS,
    window: random.pick([
      { kind: 'sliding' },
      { kind: 'sliding' },
      { kind: 'tumbling' },
      { kind: 'session', gapMs: 5_000 },
    ] as const),
    bounds: temporal || ordered ? [] : boundsOf(random, type),
    percentile: type === 'value_percentile' ? random.pick([0, 25, 50, 95, 100]) : null,
    temporal: temporal ? expressionOf(random) : null,
    ordered: ordered ? orderedOf(random) : [],
    strict: random.chance(0.2),
    gapMs: ordered && random.chance(0.3) ? 4_000 : null,
    until: ordered && random.chance(0.2) ? [3] : [],
    reuse: random.chance(0.2),
    onMatch: ordered ? 'suppress' : random.pick(['suppress', 'suppress', 'every', 'reset'] as const),
    suppressMs: random.chance(0.3) ? random.pick([3_000, 20_000, 50_000]) : null,
  });
}

function hitsOf(random: Random, { type, bounds }: CorrelationDefinition): FirmHit[] {
  // A frame boundary lies in most of them: frames of 20 s are a day long.
  let timeMs = 20_000 * 86_400_000 - random.below(60) * 1000;
  const isTemporal = type === 'temporal' || type === 'temporal_ordered';
  const isSum = type === 'value_sum' && bounds.every(({ relation }) => relation === 'gt' || relation === 'gte');
  const isNumbered = random.chance(0.3);
  const hits: FirmHit[] = [];
  for (let index = 0; index < 4 + random.below(26); index++) {
    timeMs += random.pick([0, 0, 1, 1000, 1000, 2000, 5000, 20_000, 20_001, 41_000]);
    const id = `e${random.below(10_000)}-${index}`;
    const instance = isNumbered ? random.pick(['a', 'b', null]) : null;
    const number = random.below(9) - (isSum ? 0 : 3);
    const base = {
      timeMs,
      id,
      source: 0,
      sourceOffset: index,
      matchesOffset: index,
      instance,
      sequence: random.below(50),
    };
    const steps = isTemporal ? [random.below(4), ...(random.chance(0.3) ? [random.below(4)] : [])] : [0];
    const values = type === 'value_count' || type === 'value_rarity' ? ['x', 'y', 'z', 'w'] : null;
    for (const step of new Set(steps)) {
      const own = values ? [random.pick(values), ...(random.chance(0.2) ? [random.pick(values)] : [])] : [null];
      for (const value of new Set(own))
        hits.push({ ...base, step, value, number: isTemporal || values ? null : number });
    }
  }
  return hits;
}

function oracleEvent(hit: FirmHit): OracleEvent {
  return { ...hit, organization: 'acme', group: 'g' };
}

/** Beyond what E2 compares: whether an event triggers, and the count. */
const line = ({ firstAtMs, lastAtMs, eventIds, trigger, count }: FirmFinal): string =>
  JSON.stringify([firstAtMs, lastAtMs, eventIds, trigger !== null, count]);

function oracleLines(definition: CorrelationDefinition, hits: readonly FirmHit[]): string[] {
  return finalAlerts(definition, hits.map(oracleEvent))
    .map((alert) =>
      JSON.stringify([alert.firstAtMs, alert.lastAtMs, alert.eventIds, alert.triggerId !== null, alert.count]),
    )
    .sort();
}

function again(machine: FirmMachine, definition: CorrelationDefinition): FirmMachine {
  const bytes = bytesOf(machine);
  const reader = new ByteReader(bytes);
  const copy = readFirmMachine(reader, definition, ALERTS);
  reader.end();
  expect(bytesOf(copy)).toEqual(bytes);
  expect(copy.dueMs).toBe(machine.dueMs);
  return copy;
}

function bytesOf(machine: FirmMachine): Uint8Array {
  const writer = new ByteWriter();
  machine.write(writer);
  return writer.finish();
}

/** Hits within a lateness of 30 s in any order, copies, restarts; the watermark follows. */
function runShuffled(definition: CorrelationDefinition, hits: readonly FirmHit[], random: Random): FirmFinal[] {
  const latenessMs = 30_000;
  const copies = [...hits, ...hits.filter(() => random.chance(0.3))];
  const arrivals = copies
    .map((hit) => ({ hit, atMs: hit.timeMs + random.below(latenessMs) }))
    .sort((a, b) => a.atMs - b.atMs);
  let machine = createFirmMachine(definition, ALERTS);
  const finals: FirmFinal[] = [];
  const advance = (watermarkMs: number): void => {
    for (const outcome of machine.advance(watermarkMs)) {
      if (outcome.kind !== 'final') continue;
      expect(outcome.decidedMs).toBeLessThanOrEqual(watermarkMs);
      finals.push(outcome);
    }
    expect(machine.dueMs).toBeGreaterThan(watermarkMs);
  };
  for (const { hit, atMs } of arrivals) {
    expect(['applied', 'duplicate']).toContain(machine.insert(hit));
    if (random.chance(0.5)) advance(atMs - latenessMs);
    if (random.chance(0.2)) machine = again(machine, definition);
  }
  advance(END_OF_INPUT_WATERMARK_MS);
  expect(machine.isEmpty).toBe(true);
  expect(machine.dueMs).toBe(Number.POSITIVE_INFINITY);
  return finals;
}

function runSorted(definition: CorrelationDefinition, hits: readonly FirmHit[]): FirmFinal[] {
  const machine = createFirmMachine(definition, ALERTS);
  for (const hit of hits) machine.insert(hit);
  return machine.advance(END_OF_INPUT_WATERMARK_MS).filter((outcome) => outcome.kind === 'final');
}

describe('machines of rules decided on the watermark', () => {
  it('give the finals of the oracle for any order, copies and restarts', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 30 }), (seed) => {
        const random = createRandom(seed);
        const definition = definitionOf(random);
        const hits = hitsOf(random, definition);
        const expected = oracleLines(definition, hits);
        expect({ definition, hits, lines: runSorted(definition, hits).map(line).sort() }).toEqual({
          definition,
          hits,
          lines: expected,
        });
        expect({ definition, hits, lines: runShuffled(definition, hits, random).map(line).sort() }).toEqual({
          definition,
          hits,
          lines: expected,
        });
      }),
      { numRuns: Number(process.env['TRACEHOUND_PROPERTY_RUNS'] ?? 1000) },
    );
  }, 120_000);

  it('speak in the order of the times at which they decide', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 30 }), (seed) => {
        const random = createRandom(seed);
        const definition = definitionOf(random);
        const times = runSorted(definition, hitsOf(random, definition)).map(({ decidedMs }) => decidedMs);
        expect(times).toEqual(times.toSorted((a, b) => a - b));
      }),
      { numRuns: 300 },
    );
  });
});
