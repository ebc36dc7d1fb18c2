import { expect, it } from 'vitest';
import { sfc32 } from './random.ts';

it('gives the same numbers for the same seed, and others for another', () => {
  const draw = (seed: number): number[] => {
    const random = sfc32(seed);
    return Array.from({ length: 5 }, () => random.below(1_000_000));
  };
  expect(draw(7)).toEqual(draw(7));
  expect(draw(7)).not.toEqual(draw(8));
});

it('spreads evenly over its range', () => {
  const random = sfc32(1);
  const buckets = new Array<number>(10).fill(0);
  for (let i = 0; i < 100_000; i++) {
    const bucket = Math.floor(random.next() * 10);
    buckets[bucket] = (buckets[bucket] ?? 0) + 1;
  }
  for (const count of buckets) expect(Math.abs(count - 10_000)).toBeLessThan(500);
});

it('shuffles without losing an element', () => {
  const items = Array.from({ length: 50 }, (_unused, index) => index);
  const shuffled = sfc32(3).shuffle(items);
  expect(shuffled).not.toEqual(items);
  expect(shuffled.toSorted((a, b) => a - b)).toEqual(items);
});

it('refuses to pick from nothing', () => {
  expect(() => sfc32(1).pick([])).toThrow(RangeError);
});
