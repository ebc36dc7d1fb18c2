import type { ByteReader, ByteWriter } from '../byte-codec.ts';
import { frameOf } from '../window-rule.ts';
import type { FirmEvent } from './firm-event.ts';
import type { FirmDegradedRange, FirmFinal, FirmOutcome } from './machine-types.ts';

/** How a rule groups firm events into outcomes. Fed in total order; says the same however `pass` cuts the time. */
export type FirmMode = {
  /** The next event; no earlier one follows. */
  take(event: FirmEvent, emit: Emit): void;
  /** All events with time < watermark have been taken. */
  pass(watermarkMs: number, emit: Emit): void;
  /** The least watermark at which `pass` has work, without further events. */
  readonly dueMs: number;
  readonly isEmpty: boolean;
  /** Tumbling windows only: see `FirmMachine.expect`. */
  expect?(firstAtMs: number, lastAtMs: number): void;
  write(writer: ByteWriter): void;
  /** Fills a mode without state with what `write` wrote. */
  read(reader: ByteReader): unknown;
};

export type Emit = (outcome: FirmOutcome) => unknown;

/** X10.3: number of the frame of a time. */
export function frameNumber(timeMs: number, spanMs: number): number {
  return Math.floor(timeMs / frameOf(spanMs));
}

/** First ms of the next frame. */
export function frameEndMs(timeMs: number, spanMs: number): number {
  return (frameNumber(timeMs, spanMs) + 1) * frameOf(spanMs);
}

export function finalOf(fields: Omit<FirmFinal, 'kind' | 'countExact' | 'approx'> & Partial<FirmFinal>): FirmFinal {
  return { countExact: true, approx: false, ...fields, kind: 'final' };
}

export function degraded(range: FirmDegradedRange): FirmOutcome {
  return { kind: 'degraded', range };
}
