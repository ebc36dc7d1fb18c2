import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createLoop } from './loop.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function counting(work: () => Promise<boolean> = async () => false) {
  const seen = { runs: 0, errors: 0 };
  const loop = createLoop({
    everyMs: 100,
    backoffMsMax: 400,
    onError: () => void (seen.errors += 1),
    work: () => {
      seen.runs += 1;
      return work();
    },
  });
  return { loop, seen };
}

test('runs at once and then every period', async () => {
  const { loop, seen } = counting();
  loop.start();
  await vi.advanceTimersByTimeAsync(0);
  expect(seen.runs).toBe(1);
  await vi.advanceTimersByTimeAsync(300);
  expect(seen.runs).toBe(4);
  await loop.stop();
  await vi.advanceTimersByTimeAsync(1_000);
  expect(seen.runs).toBe(4);
});

test('runs again at once while there is more, and when woken', async () => {
  let more = 3;
  const { loop, seen } = counting(async () => --more > 0);
  loop.start();
  await vi.advanceTimersByTimeAsync(2);
  expect(seen.runs).toBe(3);
  loop.wake();
  await vi.advanceTimersByTimeAsync(2);
  expect(seen.runs).toBe(4);
  await loop.stop();
});

test('a wake during a run means one more run, never two at once', async () => {
  let running = 0;
  let most = 0;
  const { loop, seen } = counting(async () => {
    running += 1;
    most = Math.max(most, running);
    await new Promise((resolve) => setTimeout(resolve, 10));
    running -= 1;
    return false;
  });
  loop.start();
  await vi.advanceTimersByTimeAsync(5);
  loop.wake();
  loop.wake();
  await vi.advanceTimersByTimeAsync(40);
  expect(seen.runs).toBe(2);
  expect(most).toBe(1);
  await loop.stop();
});

test('failures are reported and pause longer each time, up to the ceiling', async () => {
  const { loop, seen } = counting(async () => {
    throw new Error('away');
  });
  loop.start();
  await vi.advanceTimersByTimeAsync(0);
  expect(seen).toEqual({ runs: 1, errors: 1 });
  await vi.advanceTimersByTimeAsync(200);
  expect(seen.runs).toBe(2);
  await vi.advanceTimersByTimeAsync(400);
  expect(seen.runs).toBe(3);
  await vi.advanceTimersByTimeAsync(400);
  expect(seen).toEqual({ runs: 4, errors: 4 });
  await loop.stop();
});

test('stop waits for the run under way', async () => {
  let isDone = false;
  const { loop } = counting(async () => {
    await new Promise((resolve) => setTimeout(resolve, 50));
    isDone = true;
    return false;
  });
  loop.start();
  await vi.advanceTimersByTimeAsync(1);
  const stopped = loop.stop();
  await vi.advanceTimersByTimeAsync(50);
  await stopped;
  expect(isDone).toBe(true);
});
