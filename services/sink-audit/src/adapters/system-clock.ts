import type { Clock } from '../ports.ts';

/** The clock of the machine. */
export const systemClock: Clock = {
  now: Date.now,
  steadyNow: () => performance.now(),
  after(delayMs, work) {
    const timer = setTimeout(work, delayMs);
    return () => clearTimeout(timer);
  },
};
