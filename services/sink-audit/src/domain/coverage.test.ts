import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { coverageOf, missingIn } from './coverage.ts';

const at = (...offsets: number[]) => offsets.map((offset) => ({ offset: BigInt(offset) }));

describe('coverage', () => {
  it('counts redeliveries, names holes and ends behind the last record', () => {
    expect(coverageOf(at(3, 4, 5, 8), 5n)).toEqual({
      redelivered: 2,
      gaps: [{ from: 6n, to: 8n, reason: 'hole' }],
      next: 9n,
    });
  });

  it('stays where it is when everything is a redelivery', () => {
    expect(coverageOf(at(1, 2), 5n)).toEqual({ redelivered: 2, gaps: [], next: 5n });
  });

  it('E3 every offset up to next is a redelivery, a record or missing', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(200)), fc.nat(200), (offsets, expected) => {
        const records = at(...offsets.sort((a, b) => a - b));
        const { redelivered, gaps, next } = coverageOf(records, BigInt(expected));
        const fresh = records.length - redelivered;
        expect(next - BigInt(expected)).toBe(BigInt(fresh) + missingIn(gaps));
      }),
    );
  });
});
