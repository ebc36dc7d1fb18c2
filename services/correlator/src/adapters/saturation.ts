import { performance } from 'node:perf_hooks';

const WINDOW_MS = 250;
/** Share of a window in which the event loop had something to do. */
const SATURATED_FROM = 0.9;

/** Whether this process has had no time to spare lately. For pacing only: it changes no result. */
export function createSaturation(): () => boolean {
  let from = performance.eventLoopUtilization();
  let fromMs = performance.now();
  let isSaturated = false;
  return () => {
    const nowMs = performance.now();
    if (nowMs - fromMs >= WINDOW_MS) {
      const now = performance.eventLoopUtilization();
      isSaturated = performance.eventLoopUtilization(now, from).utilization >= SATURATED_FROM;
      from = now;
      fromMs = nowMs;
    }
    return isSaturated;
  };
}
