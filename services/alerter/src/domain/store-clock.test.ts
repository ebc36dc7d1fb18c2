import { describe, expect, test } from 'vitest';
import { createStoreClock } from './store-clock.ts';

const HOUR_MS = 3_600_000;

function clocks() {
  const at = { wallMs: 1_000_000_000, steadyMs: 500 };
  const clock = createStoreClock({ wallNow: () => at.wallMs, steadyNow: () => at.steadyMs });
  return { at, clock, both: () => [clock.now(), clock.pace()] };
}

describe('the clock of the store', () => {
  test('tells the wall clock of its start until the store has spoken, whatever the wall clock does then', () => {
    const { at, both } = clocks();
    at.wallMs += HOUR_MS;
    at.steadyMs += 20;
    expect(both()).toEqual([1_000_000_020, 1_000_000_020]);
  });

  test('the first word of the store counts, also when it is behind', () => {
    const { at, clock, both } = clocks();
    clock.follow(700_000_000);
    at.steadyMs += 5;
    expect(both()).toEqual([700_000_005, 700_000_005]);
  });

  test('goes ahead with the store; back it goes for what is shown, not for what is waited for', () => {
    const { at, clock, both } = clocks();
    clock.follow(700_000_000);
    clock.follow(700_000_000 + HOUR_MS);
    expect(both()).toEqual([700_000_000 + HOUR_MS, 700_000_000 + HOUR_MS]);
    clock.follow(700_000_000);
    at.steadyMs += 5;
    expect(both()).toEqual([700_000_005, 700_000_005 + HOUR_MS]);
  });
});
