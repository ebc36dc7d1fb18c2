import type { CorrelationDefinition } from '@tracehound/sigma';
import type { ByteReader, ByteWriter } from '../byte-codec.ts';
import { compareHits, firstTimeOf } from '../hit.ts';
import { type FirmEvent, sortedIds } from './firm-event.ts';
import { type Emit, type FirmMode, finalOf, frameEndMs, frameNumber } from './firm-mode.ts';
import { readFirmHits, readNumber, readTime, writeFirmHits, writeNumber, writeTime } from './hit-codec.ts';
import type { FirmHit } from './machine-types.ts';
import { MonotoneWindow } from './monotone-window.ts';

type Episode = {
  readonly fromMs: number;
  lastAtMs: number;
  readonly evidence: readonly FirmHit[];
  count: number;
};

/**
 * Episodes of monotone sliding rules that are decided on the watermark (X10.2-10 without opens; semantics section 3). Time
 * is walked once, in stretches between events, in which the latest start says whether the condition holds.
 */
export class EpisodeMode implements FirmMode {
  private readonly definition: CorrelationDefinition;
  private readonly window: MonotoneWindow;
  /** Walked so far; events taken since are all of the ms after it. */
  private cursorMs = Number.NEGATIVE_INFINITY;
  /** Events taken since `cursorMs`. */
  private fresh = 0;
  private episode: Episode | null = null;

  constructor(definition: CorrelationDefinition) {
    this.definition = definition;
    this.window = new MonotoneWindow(definition);
  }

  get isEmpty(): boolean {
    return this.window.events.length === 0 && this.episode === null;
  }

  get dueMs(): number {
    if (this.fresh > 0) return this.cursorMs + 2;
    const { spanMs } = this.definition;
    const gone = (this.window.events.at(0)?.timeMs ?? Number.POSITIVE_INFINITY) + spanMs + 1;
    const { episode } = this;
    if (!episode) return gone;
    const lastAtMs = Math.max(episode.lastAtMs, this.window.latestStart() + spanMs);
    const limitMs = this.limitOf(episode);
    return Math.min(gone, lastAtMs > limitMs ? limitMs + 2 : lastAtMs + spanMs + 1);
  }

  take(event: FirmEvent, emit: Emit): void {
    this.walk(event.timeMs - 1, emit);
    this.window.forget(event.timeMs - this.definition.spanMs);
    this.window.take(event, emit);
    this.fresh++;
  }

  pass(watermarkMs: number, emit: Emit): void {
    this.walk(watermarkMs - 1, emit);
    this.window.forget(watermarkMs - this.definition.spanMs);
  }

  write(writer: ByteWriter): void {
    this.window.write(writer);
    writeTime(writer, this.cursorMs);
    writer.integer(this.fresh);
    writer.byte(this.episode ? 1 : 0);
    if (!this.episode) return;
    writer.integer(this.episode.fromMs);
    writer.integer(this.episode.lastAtMs);
    writeFirmHits(writer, this.episode.evidence);
    writeNumber(writer, this.episode.count);
  }

  read(reader: ByteReader): this {
    this.window.read(reader);
    this.cursorMs = readTime(reader, Number.NEGATIVE_INFINITY);
    this.fresh = reader.integer();
    if (reader.byte() === 0) return this;
    this.episode = {
      fromMs: reader.integer(),
      lastAtMs: reader.integer(),
      evidence: readFirmHits(reader),
      count: readNumber(reader) ?? 0,
    };
    return this;
  }

  /** Goes on to a time before which no further event follows. */
  private walk(toMs: number, emit: Emit): void {
    if (toMs <= this.cursorMs) return;
    let atMs = this.fresh > 0 || this.window.events.length > 0 ? this.cursorMs + 1 : toMs;
    const untilMs = this.window.latestStart() + this.definition.spanMs;
    let isFirst = true;
    while (atMs <= Math.min(toMs, untilMs)) {
      const { episode } = this;
      const limitMs = episode ? this.limitOf(episode) : 0;
      if (episode && atMs <= limitMs && atMs - episode.lastAtMs <= this.definition.spanMs) {
        if (isFirst) this.countFresh();
        episode.lastAtMs = Math.min(toMs, untilMs, limitMs);
      } else {
        this.close(atMs, emit);
        this.fresh = 0;
        this.begin(atMs);
      }
      isFirst = false;
      atMs = (this.episode as Episode).lastAtMs + 1;
    }
    this.countFresh();
    this.cursorMs = toMs;
    if (this.episode && this.episode.lastAtMs + this.definition.spanMs < toMs + 1) this.close(null, emit);
  }

  private countFresh(): void {
    if (this.episode && this.countsEvents) this.episode.count += this.fresh;
    this.fresh = 0;
  }

  /** Values and sums are those of the left end. */
  private get countsEvents(): boolean {
    return this.definition.type !== 'value_count' && this.definition.type !== 'value_sum';
  }

  /** Last ms that the part of the episode may hold: frames cut it, and `suppress` (semantics section 3). */
  private limitOf({ fromMs }: Episode): number {
    const { spanMs, suppressMs } = this.definition;
    return Math.min(frameEndMs(fromMs, spanMs) - 1, fromMs + (suppressMs ?? Number.POSITIVE_INFINITY));
  }

  private begin(fromMs: number): void {
    const leftMs = fromMs - this.definition.spanMs;
    this.window.forget(leftMs);
    const evidence = this.window.evidence({ fromMs: leftMs, atMs: fromMs });
    this.episode = { fromMs, lastAtMs: fromMs, evidence, count: this.window.count() };
  }

  private close(nextFromMs: number | null, emit: Emit): void {
    const { episode } = this;
    this.episode = null;
    if (!episode) return;
    const { evidence, lastAtMs, fromMs, count } = episode;
    const { spanMs } = this.definition;
    const trigger = evidence.reduce((largest, hit) => (compareHits(hit, largest) > 0 ? hit : largest));
    emit(
      finalOf({
        firstAtMs: firstTimeOf(evidence),
        lastAtMs,
        decidedMs: Math.min(lastAtMs + spanMs, nextFromMs ?? Number.POSITIVE_INFINITY) + 1,
        timerDueMs: null,
        trigger: trigger.id,
        frame: frameNumber(fromMs, spanMs),
        evidence,
        eventIds: sortedIds(evidence),
        count,
      }),
    );
  }
}
