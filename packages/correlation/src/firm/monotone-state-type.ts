import type { FirmEvent } from './firm-event.ts';
import type { FirmHit } from './machine-types.ts';

/**
 * What a monotone condition knows of a window's events. All sliding questions come down to one number, the *latest start*: the
 * greatest m such that the events with time >= m meet the condition. At t it holds if m >= t - span, and without further
 * events it goes on to hold until m + span.
 */
export type MonotoneState = {
  /** The event was just appended to the window. */
  take(event: FirmEvent): void;
  /** The event was just let go at the front of the window. */
  drop(event: FirmEvent): void;
  /** -Infinity while nothing meets the condition. All events of the last instant must have been taken. */
  latestStart(): number;
  /** Evidence at `atMs` (semantics section 3), the window being that of `atMs`. */
  evidence(question: { fromMs: number; atMs: number }): FirmHit[];
  /** Semantics section 9. */
  count(): number;
};
