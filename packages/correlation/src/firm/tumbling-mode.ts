import { END_OF_INPUT_WATERMARK_MS } from '@tracehound/event-model';
import type { CorrelationDefinition } from '@tracehound/sigma';
import { meetsBounds } from '@tracehound/sigma';
import type { ByteReader, ByteWriter } from '../byte-codec.ts';
import { type FirmEvent, sortedIds } from './firm-event.ts';
import { type Emit, type FirmMode, finalOf } from './firm-mode.ts';
import { readTime, writeTime } from './hit-codec.ts';
import { KeptEvents } from './kept-events.ts';
import { decideWindow } from './window-decision.ts';

/**
 * Windows [k * span, (k + 1) * span) (semantics section 5). An expected group (section 8) is also decided where nothing
 * happened, from the first whole window after the organization's first hit.
 */
export class TumblingMode implements FirmMode {
  private readonly definition: CorrelationDefinition;
  private readonly events = new KeptEvents();
  /** Expected groups: the next window to decide; Infinity for others. */
  private nextExpected = Number.POSITIVE_INFINITY;
  private firstExpected = Number.POSITIVE_INFINITY;
  private isExpected = false;
  private isEnded = false;
  private lastExpectedMs = Number.NEGATIVE_INFINITY;

  constructor(definition: CorrelationDefinition) {
    this.definition = definition;
  }

  get isEmpty(): boolean {
    return this.events.length === 0 && !this.isExpected;
  }

  get dueMs(): number {
    const open = this.openWindow;
    const expected = this.isEnded ? Number.POSITIVE_INFINITY : this.nextExpected;
    const next = Math.min(open ?? Number.POSITIVE_INFINITY, expected);
    return this.endOf(next);
  }

  expect(firstAtMs: number, lastAtMs: number): void {
    const first = Math.floor(firstAtMs / this.definition.spanMs) + 1;
    if (!this.isExpected) this.nextExpected = first;
    // A first hit that came after a later one moves the start back; nothing can have been decided by then.
    else if (first < this.firstExpected) this.nextExpected = first;
    this.firstExpected = Math.min(this.firstExpected, first);
    this.isExpected = true;
    this.lastExpectedMs = Math.max(this.lastExpectedMs, lastAtMs);
  }

  take(event: FirmEvent, emit: Emit): void {
    this.pass(event.timeMs, emit);
    this.events.push(event);
  }

  pass(watermarkMs: number, emit: Emit): void {
    const open = this.openWindow;
    const isOver = open !== null && this.endOf(open) <= watermarkMs;
    if (this.isExpected) this.passExpected(watermarkMs, isOver ? open : null, emit);
    else if (isOver) this.decide(open, emit);
    if (isOver) this.events.clear(emit);
  }

  write(writer: ByteWriter): void {
    this.events.write(writer);
    writer.byte(this.isExpected ? 1 : 0);
    if (!this.isExpected) return;
    writer.integer(this.firstExpected);
    writer.integer(this.nextExpected);
    writeTime(writer, this.lastExpectedMs);
  }

  read(reader: ByteReader): this {
    this.events.read(reader);
    this.isExpected = reader.byte() === 1;
    if (!this.isExpected) return this;
    this.firstExpected = reader.integer();
    this.nextExpected = reader.integer();
    this.lastExpectedMs = readTime(reader, Number.NEGATIVE_INFINITY);
    return this;
  }

  /** Number of the window that holds events. */
  private get openWindow(): number | null {
    const first = this.events.at(0);
    return first ? Math.floor(first.timeMs / this.definition.spanMs) : null;
  }

  /** First ms after the window, which is also the watermark at which all of it is firm. */
  private endOf(window: number): number {
    return (window + 1) * this.definition.spanMs;
  }

  private passExpected(watermarkMs: number, open: number | null, emit: Emit): void {
    // At the end of input the silence after the organization's last hit says nothing.
    const isEnd = watermarkMs >= END_OF_INPUT_WATERMARK_MS;
    this.isEnded = isEnd;
    const limitMs = isEnd ? this.endOf(Math.floor(this.lastExpectedMs / this.definition.spanMs)) : watermarkMs;
    for (; this.endOf(this.nextExpected) <= limitMs; this.nextExpected++) {
      if (this.nextExpected === open) this.decide(open, emit);
      else if (this.openWindow !== this.nextExpected && meetsBounds(0, this.definition.bounds)) {
        emit(this.final(this.nextExpected, { evidence: [], count: 0, approx: false, firstAtMs: null }));
      }
    }
  }

  private decide(window: number, emit: Emit): void {
    const decision = decideWindow(this.definition, this.events.list(), window * this.definition.spanMs);
    if (decision) emit(this.final(window, decision));
  }

  private final(
    window: number,
    decision: Pick<NonNullable<ReturnType<typeof decideWindow>>, 'evidence' | 'count' | 'approx'> & {
      readonly firstAtMs: number | null;
    },
  ) {
    const { evidence, count, approx } = decision;
    const lastAtMs = this.endOf(window) - 1;
    return finalOf({
      firstAtMs: decision.firstAtMs ?? window * this.definition.spanMs,
      lastAtMs,
      decidedMs: lastAtMs + 1,
      timerDueMs: lastAtMs,
      trigger: null,
      frame: window,
      evidence,
      eventIds: sortedIds(evidence),
      count,
      countExact: this.events.isWhole,
      approx,
    });
  }
}
