import { describe, expect, it } from 'vitest';
import { correlationOf } from '../../oracle/definitions.ts';
import { ByteWriter } from '../byte-codec.ts';
import { createFirmMachine } from './machine.ts';

const HITS = 100_000;
const ordered = [
  { step: 1, runs: 1, negated: true },
  { step: 0, runs: 1, negated: false },
  { step: 2, runs: 1, negated: false },
];

/** CPU ms of a spray of hits of one group, a hundred in a second (ties) or one in each ms, and the bytes of its state. */
function spray(definition: Parameters<typeof correlationOf>[0], count: number): { cpuMs: number; bytes: number } {
  const machine = createFirmMachine(correlationOf(definition), { purpose: 'alerts' });
  const before = process.cpuUsage();
  for (let index = 0; index < count; index++) {
    const timeMs = Math.floor(index / 100) * 1000;
    machine.insert({
      timeMs,
      id: `e${(index * 7919) % 1_000_003}`,
      step: definition.type === 'temporal_ordered' ? index % 3 : 0,
      value: null,
      number: index % 97,
      source: 0,
      sourceOffset: index,
      matchesOffset: index,
      instance: null,
      sequence: null,
    });
    if (index % 500 === 0) machine.advance(timeMs - 5000);
  }
  const { user, system } = process.cpuUsage(before);
  const writer = new ByteWriter();
  machine.write(writer);
  return { cpuMs: (user + system) / 1000, bytes: writer.finish().length };
}

describe('a spray of 100,000 hits in one group', () => {
  const spanMs = 300_000;
  it.each([
    ['anchors that never fire', { type: 'event_count', spanMs, bounds: [{ relation: 'lt', value: 5 }] }],
    ['a percentile', { type: 'value_percentile', percentile: 95, spanMs, bounds: [{ relation: 'gte', value: 1e9 }] }],
    ['every', { type: 'event_count', spanMs, onMatch: 'every', bounds: [{ relation: 'gte', value: 5 }] }],
    ['a step negated before the first', { type: 'temporal_ordered', spanMs, ordered }],
  ] as const)('%s: linear and flat', (_, definition) => {
    spray(definition, HITS / 10);
    const half = spray(definition, HITS / 2);
    const whole = spray(definition, HITS);
    // Linear is 2; quadratic would be 4. Machines are shared, so the limit is generous.
    expect(whole.cpuMs).toBeLessThan(3.5 * half.cpuMs + 100);
    expect(whole.bytes).toBeLessThan(1.2 * half.bytes);
  });
});
