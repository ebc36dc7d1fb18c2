import { expect, test } from 'vitest';
import { createTokenBuckets } from './token-bucket.ts';

test('a bucket gives its burst at once and then its rate', () => {
  const buckets = createTokenBuckets({ perSecond: 100, burst: 50 });
  expect(buckets.waitMs('a', 0)).toBe(0);
  buckets.spend('a', 50, 0);
  expect(buckets.waitMs('a', 0)).toBe(0);
  buckets.spend('a', 10, 0);
  expect(buckets.waitMs('a', 0)).toBe(100);
  expect(buckets.waitMs('b', 0)).toBe(0);
  expect(buckets.waitMs('a', 60)).toBe(40);
  expect(buckets.waitMs('a', 100)).toBe(0);
});

test('unused time is not saved beyond the burst', () => {
  const buckets = createTokenBuckets({ perSecond: 100, burst: 50 });
  buckets.spend('a', 1, 0);
  buckets.spend('a', 60, 3_600_000);
  expect(buckets.waitMs('a', 3_600_000)).toBe(100);
});

test('full buckets are dropped, so that many keys need no memory', () => {
  const buckets = createTokenBuckets({ perSecond: 1_000, burst: 1 });
  for (let i = 0; i < 30_000; i++) buckets.spend(`key ${i}`, 1, i * 10);
  expect(buckets.waitMs('key 29999', 299_990)).toBe(0);
});
