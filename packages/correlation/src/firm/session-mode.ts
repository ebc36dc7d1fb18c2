import type { CorrelationDefinition } from '@tracehound/sigma';
import type { ByteReader, ByteWriter } from '../byte-codec.ts';
import { positiveTest } from './definition-facts.ts';
import { type FirmEvent, sortedIds } from './firm-event.ts';
import { type Emit, type FirmMode, finalOf } from './firm-mode.ts';
import { readTime, writeTime } from './hit-codec.ts';
import { KeptEvents } from './kept-events.ts';
import { decideWindow } from './window-decision.ts';

/**
 * Sessions (semantics section 5): positives no further apart than the gap, no longer than the span. Negated hits belong to
 * the session whose closed interval holds them.
 */
export class SessionMode implements FirmMode {
  private readonly definition: CorrelationDefinition;
  private readonly gapMs: number;
  private readonly isPositive: (step: number) => boolean;
  /** From the session's start on; without a session the negated events of the last time. */
  private readonly events = new KeptEvents();
  private startMs = Number.NEGATIVE_INFINITY;
  private lastMs = Number.NEGATIVE_INFINITY;

  constructor(definition: CorrelationDefinition, gapMs: number) {
    this.definition = definition;
    this.gapMs = gapMs;
    this.isPositive = positiveTest(definition);
  }

  get isEmpty(): boolean {
    return this.events.length === 0;
  }

  get dueMs(): number {
    if (this.isOpen) return this.closesMs;
    const loose = this.events.at(-1);
    return loose ? loose.timeMs + 1 : Number.POSITIVE_INFINITY;
  }

  take(event: FirmEvent, emit: Emit): void {
    // A negated event beyond the session's reach passes it just as a positive one would.
    this.pass(event.timeMs, emit);
    if (event.hits.some(({ step }) => this.isPositive(step))) {
      if (!this.isOpen) this.startMs = event.timeMs;
      this.lastMs = event.timeMs;
    }
    this.events.push(event);
  }

  pass(watermarkMs: number, emit: Emit): void {
    if (this.isOpen && this.closesMs <= watermarkMs) {
      this.decide(emit);
      // What lies after the session's last time can be in no later one: a later one starts at the watermark or after.
      this.startMs = Number.NEGATIVE_INFINITY;
      this.lastMs = Number.NEGATIVE_INFINITY;
      this.events.clear(emit);
    } else if (!this.isOpen && this.events.length > 0 && (this.events.at(-1)?.timeMs ?? 0) < watermarkMs) {
      this.events.clear(emit);
    }
  }

  write(writer: ByteWriter): void {
    this.events.write(writer);
    writeTime(writer, this.startMs);
    writeTime(writer, this.lastMs);
  }

  read(reader: ByteReader): this {
    this.events.read(reader);
    this.startMs = readTime(reader, Number.NEGATIVE_INFINITY);
    this.lastMs = readTime(reader, Number.NEGATIVE_INFINITY);
    return this;
  }

  private get isOpen(): boolean {
    return this.startMs > Number.NEGATIVE_INFINITY;
  }

  /** The least watermark at which no hit can join any more. */
  private get closesMs(): number {
    return Math.min(this.lastMs + this.gapMs, this.startMs + this.definition.spanMs) + 1;
  }

  private decide(emit: Emit): void {
    const { startMs, lastMs } = this;
    const inside = this.events.list().filter(({ timeMs }) => timeMs <= lastMs);
    const decision = decideWindow(this.definition, inside, startMs);
    if (!decision) return;
    const { firstAtMs, evidence, count, approx } = decision;
    emit(
      finalOf({
        firstAtMs,
        lastAtMs: lastMs,
        decidedMs: this.closesMs,
        timerDueMs: lastMs,
        trigger: null,
        frame: startMs,
        evidence,
        eventIds: sortedIds(evidence),
        count,
        countExact: this.events.isWhole,
        approx,
      }),
    );
  }
}
