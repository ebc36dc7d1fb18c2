/** A clock that stands still until a test moves it. Times are integer milliseconds UTC. */
export type ManualClock = {
  /** The present instant; pass this function where code asks for `now`. */
  readonly now: () => number;
  /** Moves forward; a negative step is refused because real event loops never see one. */
  advance(stepMs: number): void;
  /** Jumps to an instant, also backwards (a corrected system clock). */
  set(nowMs: number): void;
};

/** 2026-01-01T00:00:00Z: a fixed start keeps golden files stable. */
const DEFAULT_START_MS = Date.UTC(2026, 0, 1);

export function manualClock(startMs: number = DEFAULT_START_MS): ManualClock {
  let nowMs = startMs;
  return {
    now: () => nowMs,
    advance(stepMs: number): void {
      if (stepMs < 0) throw new RangeError('a step back needs set(), not advance()');
      nowMs += stepMs;
    },
    set(instantMs: number): void {
      nowMs = instantMs;
    },
  };
}
