import { describe, expect, it } from 'vitest';
import { BrokerTime } from './broker-time.ts';

const HOUR_MS = 3_600_000;

function answer(time: BrokerTime, appendTimeMs: number): void {
  time.asking()(appendTimeMs);
}

describe('broker time', () => {
  it('the present follows answers ahead and back, the latest goes only ahead', () => {
    const time = new BrokerTime();
    answer(time, 10 * HOUR_MS);
    answer(time, 11 * HOUR_MS);
    expect([time.presentMs, time.latestMs]).toEqual([11 * HOUR_MS, 11 * HOUR_MS]);
    answer(time, 10 * HOUR_MS);
    expect([time.presentMs, time.latestMs]).toEqual([10 * HOUR_MS, 11 * HOUR_MS]);
  });

  it('an answer that was long on its way, or of a broker that is a second behind, is no step back', () => {
    const time = new BrokerTime();
    answer(time, HOUR_MS);
    const slow = time.asking();
    answer(time, HOUR_MS + 30_000);
    slow(HOUR_MS + 10);
    answer(time, HOUR_MS + 29_000);
    expect(time.presentMs).toBe(HOUR_MS + 30_000);
  });

  it('records that are read say nothing of the present once there was an answer', () => {
    const time = new BrokerTime();
    time.saw(2 * HOUR_MS);
    expect(time.presentMs).toBe(2 * HOUR_MS);
    answer(time, HOUR_MS);
    time.saw(3 * HOUR_MS);
    time.asking()(null);
    expect([time.presentMs, time.latestMs]).toEqual([HOUR_MS, 3 * HOUR_MS]);
  });
});
