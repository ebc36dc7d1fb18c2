import type { CorrelationDefinition } from '@tracehound/sigma';
import type { ByteReader, ByteWriter } from '../byte-codec.ts';
import type { FirmEvent } from './firm-event.ts';
import type { Emit, FirmMode } from './firm-mode.ts';
import { readTime, writeTime } from './hit-codec.ts';
import type { FirmFinal, FirmOutcome } from './machine-types.ts';

/** Chain hits of a monotone sliding rule: the first per minute of event time (semantics section 7). */
const THIN_MS = 60_000;

/** Turns the finals of an inner rule into hits for outer ones. */
export class ChainMode implements FirmMode {
  private readonly inner: FirmMode;
  private readonly spanMs: number;
  private readonly thinMs: number | null;
  private lastMs = Number.NEGATIVE_INFINITY;

  /** `inner` speaks in mode `every` if the rule is monotone and sliding; only then its hits are thinned. */
  constructor(definition: CorrelationDefinition, inner: FirmMode, { isThinned }: { isThinned: boolean }) {
    this.inner = inner;
    this.spanMs = definition.spanMs;
    this.thinMs = isThinned ? THIN_MS : null;
  }

  get isEmpty(): boolean {
    return this.inner.isEmpty && this.lastMs === Number.NEGATIVE_INFINITY;
  }

  get dueMs(): number {
    const forgotten = this.lastMs === Number.NEGATIVE_INFINITY ? Number.POSITIVE_INFINITY : this.forgetMs;
    return Math.min(this.inner.dueMs, forgotten);
  }

  take(event: FirmEvent, emit: Emit): void {
    this.inner.take(event, (outcome) => this.turn(outcome, emit));
  }

  pass(watermarkMs: number, emit: Emit): void {
    this.inner.pass(watermarkMs, (outcome) => this.turn(outcome, emit));
    if (this.forgetMs <= watermarkMs) this.lastMs = Number.NEGATIVE_INFINITY;
  }

  expect(firstAtMs: number, lastAtMs: number): void {
    this.inner.expect?.(firstAtMs, lastAtMs);
  }

  write(writer: ByteWriter): void {
    this.inner.write(writer);
    writeTime(writer, this.lastMs);
  }

  read(reader: ByteReader): this {
    this.inner.read(reader);
    this.lastMs = readTime(reader, Number.NEGATIVE_INFINITY);
    return this;
  }

  /**
   * The watermark from which no later chain hit can look back at the last one. Windows speak up to one span after their
   * newest evidence, so that is two spans.
   */
  private get forgetMs(): number {
    return this.lastMs + 2 * Math.max(this.spanMs, THIN_MS) + 1;
  }

  private turn(outcome: FirmOutcome, emit: Emit): void {
    if (outcome.kind !== 'final') {
      emit(outcome);
      return;
    }
    const timeMs = chainTime(outcome);
    if (this.thinMs !== null && Math.floor(this.lastMs / this.thinMs) === Math.floor(timeMs / this.thinMs)) return;
    emit({
      kind: 'chain',
      timeMs,
      triggerId: outcome.trigger ?? `due:${outcome.timerDueMs}`,
      frame: outcome.frame,
      isNewBurst: this.lastMs < timeMs - this.spanMs,
      evidence: outcome.evidence,
    });
    this.lastMs = Math.max(this.lastMs, timeMs);
  }
}

function chainTime({ trigger, evidence, lastAtMs }: FirmFinal): number {
  if (trigger !== null || evidence.length === 0) return lastAtMs;
  return evidence.reduce((newest, { timeMs }) => Math.max(newest, timeMs), Number.NEGATIVE_INFINITY);
}
