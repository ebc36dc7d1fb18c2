import type { Clock } from '../ports.ts';

/** For pacing, gauges and the time of a dead letter; never for a decision about events (X4). */
export const systemClock: Clock = { nowMs: () => Date.now() };
