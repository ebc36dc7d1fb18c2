import { END_OF_INPUT_WATERMARK_MS, type MatchBatch, NO_WATERMARK_MS } from '@tracehound/event-model';

/** A place in a matches log: no record before `offset` has a claim or an event at or after `reachMs` (event time, ms). */
export type LogMark = { readonly offset: number; readonly reachMs: number };

/** What a log has shown so far; part of the state. */
export type WrittenReach = { readonly reachMs: number; readonly marks: readonly LogMark[] };

/** Part of the state; `spokenAt`: by slot, offset of the last record that tells how far a source has got, in offsets and in time. */
export type WrittenStart = { readonly reach: WrittenReach; readonly spokenAt: readonly number[] };

/** Finer marks would save less reading than they cost state. */
const STEP_MS = 60_000;

/** Of the time since the first mark, so much lies between two of them. */
const STEP_SHARE = 1 / 32;

/** So many are kept; beyond that every second one goes. */
const MARKS_MAX = 64;

/**
 * Since which offset of its log a partition has reached which event time: tells where a rebuild must begin (X12) by what the
 * records themselves say, claims and events alike, so by no clock. A function of the records noted; a few hundred bytes.
 */
export class LogReach {
  private marks: LogMark[] = [];
  /** No record noted so far reaches further. */
  private reachMs: number = NO_WATERMARK_MS;

  /** A log that is read from here on. */
  static from(mark: LogMark): LogReach {
    return LogReach.read({ reachMs: mark.reachMs - 1, marks: [mark] });
  }

  static read({ reachMs, marks }: WrittenReach): LogReach {
    const reach = new LogReach();
    reach.reachMs = reachMs;
    reach.marks = [...marks];
    return reach;
  }

  written(): WrittenReach {
    return { reachMs: this.reachMs, marks: this.marks };
  }

  /** A record; each once and in their order. Whether a mark came of it. */
  note(offset: number, reachMs: number): boolean {
    if (reachMs <= this.reachMs) return false;
    const markMs = this.reachMs + 1;
    this.reachMs = reachMs;
    const [first, second] = this.marks;
    // Nothing comes before the first record there is.
    if (first === undefined) return this.add({ offset, reachMs: NO_WATERMARK_MS });
    const origin = first.reachMs === NO_WATERMARK_MS ? second : first;
    const stepMs = Math.max(STEP_MS, origin === undefined ? 0 : (markMs - origin.reachMs) * STEP_SHARE);
    return markMs - (this.marks.at(-1) ?? first).reachMs >= stepMs && this.add({ offset, reachMs: markMs });
  }

  private add(mark: LogMark): true {
    this.marks.push(mark);
    if (this.marks.length > MARKS_MAX) this.marks = this.marks.filter((_, index) => index % 2 === 0);
    return true;
  }

  /** The last place before which nothing reaches the time; null when none is known. */
  markBefore(timeMs: number): LogMark | null {
    return this.marks.findLast(({ reachMs }) => reachMs <= timeMs) ?? null;
  }

  /** No earlier time will be asked for. */
  forgetBefore(timeMs: number): void {
    const needed = this.marks.findLastIndex(({ reachMs }) => reachMs <= timeMs);
    if (needed > 0) this.marks.splice(0, needed);
  }
}

/** How far a record reaches: its claim and its events. The end of a source is no time. */
export function reachOf({ watermark, end_of_input, matches }: MatchBatch): number {
  let reachMs = end_of_input || watermark >= END_OF_INPUT_WATERMARK_MS ? NO_WATERMARK_MS : watermark;
  for (const { event_time } of matches) if (event_time > reachMs) reachMs = event_time;
  return reachMs;
}
