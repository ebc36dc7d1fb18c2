import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ValueNote } from './field-index.ts';
import { ValueMemory } from './value-memory.ts';

const SEED = 20_261_126;
const text = fc.string({ unit: fc.constantFrom('a', 'b', '\u00e9'), maxLength: 5 });

describe('the memory of values', () => {
  it('gives what was kept for exactly that value, or nothing', () => {
    fc.assert(
      fc.property(fc.constantFrom(1, 2, 8), fc.array(text, { maxLength: 60 }), (places, values) => {
        const memory = new ValueMemory<ValueNote>(places);
        for (const value of values) {
          if (!memory.takes(value)) continue;
          const note = memory.find(value);
          if (note) expect(note).toEqual({ text: value, folded: value, pointers: Int32Array.of(value.length) });
          else memory.keep({ text: value, folded: value, pointers: Int32Array.of(value.length) });
        }
      }),
      { seed: SEED, numRuns: 500 },
    );
  });

  it('knows values again that come often', () => {
    const memory = new ValueMemory<ValueNote>(64);
    let known = 0;
    for (let i = 0; i < 10_000; i++) {
      const value = `type_${i % 10}`;
      expect(memory.takes(value)).toBe(true);
      if (memory.find(value)) known++;
      else memory.keep({ text: value, folded: value, pointers: new Int32Array(0) });
    }
    expect(known).toBe(9_990);
  });

  it('pauses where values never come again, and tries anew later', () => {
    const memory = new ValueMemory<ValueNote>(64);
    let asked = 0;
    for (let i = 0; i < 1_000_000; i++) {
      const value = `id-${i}`;
      if (!memory.takes(value)) continue;
      asked++;
      if (!memory.find(value)) memory.keep({ text: value, folded: value, pointers: new Int32Array(0) });
    }
    expect(asked).toBeGreaterThan(2_048);
    expect(asked).toBeLessThan(15_000);
  });

  it('takes no long values, and none without places', () => {
    expect(new ValueMemory<ValueNote>(8).takes('x'.repeat(193))).toBe(false);
    expect(new ValueMemory<ValueNote>(0).takes('x')).toBe(false);
    expect(() => new ValueMemory<ValueNote>(3)).toThrow(RangeError);
  });
});
