import { setImmediate as nextTurn } from 'node:timers/promises';

/** Longest stretch of computation between two turns of the event loop. */
const STRETCH_MS = 20;

/** Gives the event loop a turn when the last one was more than 20 ms ago. Pacing only: it changes no result. */
export function createBreath(): () => Promise<void> | undefined {
  let turnedAtMs = performance.now();
  return () => {
    if (performance.now() - turnedAtMs < STRETCH_MS) return undefined;
    return nextTurn().then(() => {
      turnedAtMs = performance.now();
    });
  };
}
