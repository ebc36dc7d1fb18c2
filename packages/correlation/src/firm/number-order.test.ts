import { describe, expect, it } from 'vitest';
import { createRandom } from '../../oracle/random.ts';
import { ExactSum } from './exact-sum.ts';
import { NumberOrder, PERCENTILE_EXACT_MAX, SKETCH_ERROR } from './number-order.ts';

function exactPercentile(numbers: readonly number[], rank: number): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.floor((rank / 100) * (sorted.length - 1))] as number;
}

describe('NumberOrder', () => {
  it('interpolates between closest ranks', () => {
    const order = new NumberOrder();
    for (const value of [40, 10, 30, 20]) order.add(value);
    expect(order.percentile(50, () => [])).toBe(25);
    order.remove(40);
    expect(order.percentile(50, () => [])).toBe(20);
    expect(order.percentile(100, () => [])).toBe(30);
    expect(new NumberOrder().percentile(50, () => [])).toBeUndefined();
  });

  it('above 1,024 numbers stays within one percent of the exact rank, and is exact again below', () => {
    const random = createRandom(7);
    const order = new NumberOrder();
    const window: number[] = [];
    for (let index = 0; index < 6000; index++) {
      const value = (random.below(2) === 0 ? -1 : 1) * Math.exp(random.below(2000) / 100) * random.below(5);
      order.add(value);
      window.push(value);
      if (window.length > 3000) order.remove(window.shift() as number);
    }
    expect(order.isExact).toBe(false);
    for (const rank of [0, 1, 25, 50, 75, 95, 100]) {
      const expected = exactPercentile(window, rank);
      const found = order.percentile(rank, () => []) as number;
      expect(Math.abs(found - expected)).toBeLessThanOrEqual(Math.abs(expected) * SKETCH_ERROR * 1.0001);
    }
    while (window.length > PERCENTILE_EXACT_MAX) order.remove(window.shift() as number);
    expect(order.isExact).toBe(true);
    expect(order.percentile(100, () => [...window])).toBe(Math.max(...window));
  });
});

describe('ExactSum', () => {
  it('forgets what is taken out, whatever the sizes', () => {
    const sum = new ExactSum();
    for (const value of [1e300, 0.1, -1e17, 0.2]) sum.add(value);
    for (const value of [1e300, -1e17]) sum.remove(value);
    sum.add(0.3);
    expect(sum.value).toBe(0.6);
    for (const value of [0.1, 0.2, 0.3]) sum.remove(value);
    expect(sum.value).toBe(0);
  });

  it('rounds once', () => {
    const sum = new ExactSum();
    for (let index = 0; index < 10; index++) sum.add(0.1);
    expect(sum.value).toBe(1);
    sum.add(Number.MAX_VALUE);
    sum.remove(Number.MAX_VALUE);
    expect(sum.value).toBe(1);
  });
});
