import type { CorrelationDefinition } from '@tracehound/sigma';
import type { ByteReader, ByteWriter } from '../byte-codec.ts';
import { positiveTest } from './definition-facts.ts';
import { EventWindow } from './event-window.ts';
import { eventsOf, type FirmEvent, sortedIds } from './firm-event.ts';
import { degraded, type Emit, type FirmMode, finalOf, frameEndMs, frameNumber } from './firm-mode.ts';
import { readFirmHits, writeFirmHits } from './hit-codec.ts';
import type { FirmHit } from './machine-types.ts';
import { countWindow, createWindowCondition, type WindowCondition, windowHitsMax } from './window-condition.ts';

/** Ids that a window names at most, the first in total order (semantics section 4). */
export const POSITIVES_MAX = 512;

/**
 * Sliding rules that are not monotone (X10.14): a window starts at the first positive not yet covered and is decided one
 * span later. The window's events stay in running counts; from anchor to anchor both its ends only move on.
 */
export class AnchorMode implements FirmMode {
  private readonly definition: CorrelationDefinition;
  private readonly isPositive: (step: number) => boolean;
  /** Events from the anchor's time on; without an anchor, those of the last time. */
  private readonly window = new EventWindow();
  private readonly condition: WindowCondition;
  private readonly hitsMax: number;
  /** Index of the anchor in the window, -1 without one. */
  private anchorIndex = -1;

  constructor(definition: CorrelationDefinition) {
    this.definition = definition;
    this.isPositive = positiveTest(definition);
    this.condition = createWindowCondition(definition, this.window);
    this.hitsMax = windowHitsMax(definition);
  }

  get isEmpty(): boolean {
    return this.window.length === 0;
  }

  get dueMs(): number {
    const anchor = this.anchor;
    if (anchor) return anchor.timeMs + this.definition.spanMs + 1;
    const last = this.window.at(-1);
    return last ? last.timeMs + 1 : Number.POSITIVE_INFINITY;
  }

  take(event: FirmEvent, emit: Emit): void {
    this.pass(event.timeMs, emit);
    this.append(event);
    if (this.anchorIndex < 0 && this.hasPositive(event)) this.anchorIndex = this.window.length - 1;
    if (this.window.hitsLength > this.hitsMax) this.shed(emit);
  }

  pass(watermarkMs: number, emit: Emit): void {
    for (
      let anchor = this.anchor;
      anchor && anchor.timeMs + this.definition.spanMs < watermarkMs;
      anchor = this.anchor
    ) {
      this.decide(anchor, emit);
    }
    if (this.anchorIndex < 0) this.dropBefore(watermarkMs);
  }

  write(writer: ByteWriter): void {
    writer.integer(this.anchorIndex);
    writeFirmHits(writer, this.window.hits());
  }

  read(reader: ByteReader): this {
    this.anchorIndex = reader.integer();
    for (const event of eventsOf(readFirmHits(reader))) this.append(event);
    return this;
  }

  private get anchor(): FirmEvent | undefined {
    return this.anchorIndex < 0 ? undefined : this.window.at(this.anchorIndex);
  }

  private append(event: FirmEvent): void {
    this.window.push(event);
    this.condition.add(event);
  }

  private hasPositive(event: FirmEvent): boolean {
    return event.hits.some(({ step }) => this.isPositive(step));
  }

  private decide(anchor: FirmEvent, emit: Emit): void {
    const { spanMs } = this.definition;
    if (!this.condition.holds(anchor.timeMs)) {
      this.moveOn(this.anchorIndex + 1);
      return;
    }
    const lastAtMs = anchor.timeMs + spanMs;
    const isNamed = (hit: FirmHit): boolean => this.isPositive(hit.step) && this.condition.names(hit);
    const events = this.window.slice(0);
    const evidence = namedHits(events, isNamed);
    emit(
      finalOf({
        firstAtMs: anchor.timeMs,
        lastAtMs,
        decidedMs: lastAtMs + 1,
        timerDueMs: lastAtMs,
        trigger: null,
        frame: frameNumber(anchor.timeMs, spanMs),
        evidence,
        eventIds: sortedIds(evidence),
        count: countWindow(this.definition, { events, isNamed, condition: this.condition }),
        approx: this.condition.isApprox(),
      }),
    );
    const frameEnd = frameEndMs(anchor.timeMs, spanMs);
    this.moveOn(this.window.prefixLength((event) => event.timeMs < frameEnd));
  }

  /** All events before the index are covered: the next positive is the anchor. */
  private moveOn(index: number): void {
    let next = index;
    while (next < this.window.length && !this.hasPositive(this.window.at(next) as FirmEvent)) next++;
    this.anchorIndex = next < this.window.length ? next : -1;
    this.dropBefore(this.anchor?.timeMs ?? Number.POSITIVE_INFINITY);
  }

  private dropBefore(timeMs: number): void {
    while ((this.window.at(0)?.timeMs ?? timeMs) < timeMs) this.dropFirst();
  }

  private dropFirst(): void {
    const event = this.window.shift();
    if (!event) return;
    this.condition.remove(event);
    if (this.anchorIndex >= 0) this.anchorIndex--;
  }

  /** Too many hits: the oldest anchors are given up without a decision. */
  private shed(emit: Emit): void {
    const fromMs = this.window.at(0)?.timeMs ?? 0;
    const toMs = this.window.at(-1)?.timeMs ?? 0;
    while (this.window.hitsLength > this.hitsMax) {
      this.dropFirst();
      if (this.anchorIndex < 0) this.moveOn(0);
    }
    emit(degraded({ fromMs, toMs, reason: 'window_hits_max' }));
  }
}

/** The hits a window names: of the first ids in total order. */
export function namedHits(events: readonly FirmEvent[], isNamed: (hit: FirmHit) => boolean): readonly FirmHit[] {
  const named: FirmHit[] = [];
  let ids = 0;
  for (const event of events) {
    const own = event.hits.filter(isNamed);
    if (own.length === 0) continue;
    if (++ids > POSITIVES_MAX) break;
    named.push(...own);
  }
  return named;
}
