import { createEventReader, type EventReaderOptions, type ReadEvent } from '@tracehound/detect';
import type { EventInput } from './event-input.ts';
import { parseJsonLine } from './json-line.ts';
import { createLineSplitter } from './line-splitter.ts';

/** A longer line is no event: 16 MiB, some 50,000 times the usual. */
export const LINE_BYTES_MAX: number = 16 * 1_048_576;

/** What was read, and what of it was no event. */
export type StreamCounters = {
  events: number;
  /** Not JSON, not an object, too long, or nested too deeply; blank lines do not count. */
  invalid: number;
  /** Events without any time: the previous event's was taken. */
  untimed: number;
};

type Json = Readonly<Record<string, unknown>>;

export type EventStreamOptions = EventReaderOptions & {
  readonly lineBytesMax?: number;
  /** Adds to an event what those before it say of it; gives the same object back when there is nothing to add. */
  readonly enrich?: (event: Json, read: ReadEvent) => Json;
  onEvent(event: ReadEvent, line: number): void;
  onInvalid(line: number, reason: string): void;
};

/** Feeds the bytes of one file, in order; calls `onEvent` for every event of it. */
export type EventStream = {
  push(chunk: Buffer): void;
  end(): void;
  readonly counters: StreamCounters;
  /** Line feeds so far, and a last line without one. */
  readonly lines: number;
};

/** @see EventStream */
export function createEventStream(options: EventStreamOptions): EventStream {
  const counters: StreamCounters = { events: 0, invalid: 0, untimed: 0 };
  const read = createEventReader(options);
  const { lineBytesMax = LINE_BYTES_MAX, onEvent, onInvalid } = options;

  function invalid(line: number, reason: string): void {
    counters.invalid++;
    onInvalid(line, reason);
  }

  function onLine(text: string, line: number, longDigits: boolean): void {
    const parsed = parseJsonLine(text, longDigits);
    if (parsed.kind === 'blank') return;
    if (parsed.kind === 'invalid') {
      invalid(line, parsed.reason);
      return;
    }
    const asWritten = tryRead(parsed.event, line);
    const event = asWritten && options.enrich ? enriched(options.enrich, parsed.event, asWritten, line) : asWritten;
    if (!event) {
      invalid(line, 'nested too deeply');
      return;
    }
    counters.events++;
    if (event.timeSource === 'none') counters.untimed++;
    onEvent(event, line);
  }

  function enriched(
    enrich: NonNullable<EventStreamOptions['enrich']>,
    event: Json,
    asWritten: ReadEvent,
    line: number,
  ): ReadEvent | undefined {
    const more = enrich(event, asWritten);
    return more === event ? asWritten : tryRead(more, line);
  }

  function tryRead(event: Json, line: number): ReadEvent | undefined {
    try {
      return read(event, line);
    } catch (error) {
      // The stack is the only thing an event can exhaust.
      if (error instanceof RangeError) return undefined;
      throw error;
    }
  }

  const splitter = createLineSplitter(lineBytesMax, (line) => invalid(line, `longer than ${lineBytesMax} bytes`));
  return {
    push: (chunk) => splitter.push(chunk, onLine),
    end: () => splitter.end(onLine),
    counters,
    get lines() {
      return splitter.lines;
    },
  };
}

/** Reads an input to its end, or until `stopped` says so; `afterChunk` is awaited between reads. */
export async function readEvents(
  input: EventInput,
  stream: EventStream,
  { stopped, afterChunk }: { stopped(): boolean; afterChunk(): Promise<void> },
): Promise<void> {
  for await (const chunk of input.chunks()) {
    stream.push(chunk);
    await afterChunk();
    if (stopped()) return;
  }
  stream.end();
}
