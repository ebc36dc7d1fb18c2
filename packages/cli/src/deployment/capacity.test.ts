import { describe, expect, it } from 'vitest';
import { capacityOf, type Demand } from './capacity.ts';

const DEMAND: Demand = {
  eventsPerSecond: 10_000,
  eventBytes: 700,
  matchShare: 0.2,
  liveGroups: 100_000,
  eventPartitions: 12,
  matchesPartitions: 12,
  replication: 3,
};

describe('capacity', () => {
  it('follows the measured costs', () => {
    const capacity = capacityOf(DEMAND);
    expect(capacity.correlatorCores).toBeCloseTo((10_000 * 22 + 2_000 * 27) / 1e6 / 0.75, 6);
    expect(capacity.correlators).toBe(1);
    expect(capacity.tickRecordsPerSecond).toBe(288);
    expect(capacity.brokerBytesPerSecond).toBe((7_000_000 + 2_000 * 130 + 288 * 160) * 3);
    expect(capacity.redisMemoryBytes).toBe(100_000 * 600 * 1.6);
  });

  it('has one process to spare as soon as one is not enough', () => {
    expect(capacityOf({ ...DEMAND, eventsPerSecond: 100_000 }).correlators).toBe(5);
  });

  it('refuses what is no demand', () => {
    expect(() => capacityOf({ ...DEMAND, matchShare: Number.NaN })).toThrow(/matchShare/);
  });
});
