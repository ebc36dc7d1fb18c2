import type { CorrelationDefinition } from '@tracehound/sigma';
import type { ByteReader, ByteWriter } from '../byte-codec.ts';
import { firstTimeOf } from '../hit.ts';
import { positiveTest } from './definition-facts.ts';
import { eventsOf, type FirmEvent, sortedIds } from './firm-event.ts';
import { type Emit, type FirmMode, finalOf, frameNumber } from './firm-mode.ts';
import { readFirmHits, writeFirmHits } from './hit-codec.ts';
import { MonotoneWindow } from './monotone-window.ts';

/**
 * Modes `every` and `reset` of monotone sliding rules (semantics section 6): an event speaks if, with it, the condition holds
 * over the span before it; `reset` then forgets all taken so far. Ordered rules take the events of one time together.
 */
export class TriggerMode implements FirmMode {
  private readonly definition: CorrelationDefinition;
  private readonly resets: boolean;
  private readonly window: MonotoneWindow;
  private readonly isPositive: (step: number) => boolean;
  /** Ordered rules: events of the last time, not looked at yet. */
  private tie: FirmEvent[] = [];

  constructor(definition: CorrelationDefinition, { resets }: { resets: boolean }) {
    this.definition = definition;
    this.resets = resets;
    this.window = new MonotoneWindow(definition);
    this.isPositive = positiveTest(definition);
  }

  get isEmpty(): boolean {
    return this.tie.length === 0 && this.window.events.length === 0;
  }

  get dueMs(): number {
    const tied = this.tie[0];
    if (tied) return tied.timeMs + 1;
    const first = this.window.events.at(0);
    return first ? first.timeMs + this.definition.spanMs + 1 : Number.POSITIVE_INFINITY;
  }

  take(event: FirmEvent, emit: Emit): void {
    if (this.definition.type !== 'temporal_ordered') {
      this.decide([event], emit);
      return;
    }
    if (this.tie[0] && this.tie[0].timeMs < event.timeMs) this.decideTie(emit);
    this.tie.push(event);
  }

  pass(watermarkMs: number, emit: Emit): void {
    if (this.tie[0] && this.tie[0].timeMs < watermarkMs) this.decideTie(emit);
    this.window.forget(watermarkMs - this.definition.spanMs);
  }

  write(writer: ByteWriter): void {
    this.window.write(writer);
    writeFirmHits(
      writer,
      this.tie.flatMap((event) => event.hits),
    );
  }

  read(reader: ByteReader): this {
    this.window.read(reader);
    this.tie = eventsOf(readFirmHits(reader));
    return this;
  }

  private decideTie(emit: Emit): void {
    const { tie } = this;
    this.tie = [];
    this.decide(tie, emit);
  }

  /** Events of one time, all of them taken before the first is asked. */
  private decide(events: readonly FirmEvent[], emit: Emit): void {
    const { spanMs } = this.definition;
    const atMs = events[0]?.timeMs ?? 0;
    this.window.forget(atMs - spanMs);
    for (const event of events) this.window.take(event, emit);
    if (this.window.latestStart() < atMs - spanMs) return;
    for (const event of events) {
      if (!event.hits.some(({ step }) => this.isPositive(step))) continue;
      const evidence = this.window.evidence({ fromMs: atMs - spanMs, atMs });
      if (evidence.length === 0) continue;
      emit(
        finalOf({
          firstAtMs: firstTimeOf(evidence),
          lastAtMs: atMs,
          decidedMs: atMs + 1,
          timerDueMs: null,
          trigger: event.id,
          frame: frameNumber(atMs, spanMs),
          evidence,
          eventIds: sortedIds(evidence),
          count: this.window.count(),
        }),
      );
      if (!this.resets) continue;
      this.window.clear();
      return;
    }
  }
}
