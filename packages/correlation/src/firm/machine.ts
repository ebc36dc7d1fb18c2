import type { CorrelationDefinition } from '@tracehound/sigma';
import { isMonotone } from '@tracehound/sigma';
import type { ByteReader, ByteWriter } from '../byte-codec.ts';
import { AnchorMode } from './anchor-mode.ts';
import { ChainMode } from './chain-mode.ts';
import { EpisodeMode } from './episode-mode.ts';
import { eventsOf } from './firm-event.ts';
import type { FirmMode } from './firm-mode.ts';
import { readFirmHits, readTime, writeFirmHits, writeTime } from './hit-codec.ts';
import type { FirmDegradedRange, FirmHit, FirmMachine, FirmMachineOptions, FirmOutcome } from './machine-types.ts';
import { PendingHits } from './pending-hits.ts';
import { SessionMode } from './session-mode.ts';
import { TriggerMode } from './trigger-mode.ts';
import { TumblingMode } from './tumbling-mode.ts';

export type {
  FirmChainHit,
  FirmFinal,
  FirmHit,
  FirmMachine,
  FirmMachineOptions,
  FirmOutcome,
} from './machine-types.ts';

/**
 * Hits of a group that wait for the watermark. Recorded logs run with a lateness of weeks, so nearly all of a group may wait:
 * 262,144 hits of some 250 bytes are 64 MB for a group under flood.
 */
const PENDING_HITS_MAX = 262_144;

const NOTHING: readonly FirmOutcome[] = [];

/** A machine without state, for any definition: also rules decided on arrival, of which it gives the same finals. */
export function createFirmMachine(definition: CorrelationDefinition, options: FirmMachineOptions): FirmMachine {
  return new Machine(modeOf(definition, options));
}

/**
 * Reads what `write` wrote, with the same definition and options.
 * @throws CorrelationError `SEC_CORR_STATE` when the bytes hold no such state.
 */
export function readFirmMachine(
  reader: ByteReader,
  definition: CorrelationDefinition,
  options: FirmMachineOptions,
): FirmMachine {
  return new Machine(modeOf(definition, options)).read(reader);
}

function modeOf(definition: CorrelationDefinition, { purpose }: FirmMachineOptions): FirmMode {
  const isSlidingMonotone = definition.window.kind === 'sliding' && isMonotone(definition);
  if (purpose === 'alerts') return ownModeOf(definition);
  const inner = ownModeOf(isSlidingMonotone ? { ...definition, onMatch: 'every' } : definition);
  return new ChainMode(definition, inner, { isThinned: isSlidingMonotone });
}

function ownModeOf(definition: CorrelationDefinition): FirmMode {
  const { window, onMatch } = definition;
  if (window.kind === 'tumbling') return new TumblingMode(definition);
  if (window.kind === 'session') return new SessionMode(definition, window.gapMs);
  if (!isMonotone(definition)) return new AnchorMode(definition);
  if (onMatch === 'suppress') return new EpisodeMode(definition);
  return new TriggerMode(definition, { resets: onMatch === 'reset' });
}

/** Under flood every hit drops one: neighbouring ranges become one record. */
function joinDegraded(outcomes: readonly FirmOutcome[]): readonly FirmOutcome[] {
  const joined: FirmOutcome[] = [];
  let open: { fromMs: number; toMs: number; readonly reason: FirmDegradedRange['reason'] } | null = null;
  for (const outcome of outcomes) {
    if (outcome.kind !== 'degraded') {
      joined.push(outcome);
      continue;
    }
    const { range } = outcome;
    if (open?.reason === range.reason && range.fromMs <= open.toMs) {
      open.fromMs = Math.min(open.fromMs, range.fromMs);
      open.toMs = Math.max(open.toMs, range.toMs);
      continue;
    }
    open = { ...range };
    joined.push({ kind: 'degraded', range: open });
  }
  return joined;
}

/** Hits wait until they are firm, then the mode sees them once, in total order. */
class Machine implements FirmMachine {
  private readonly mode: FirmMode;
  private readonly pending = new PendingHits();
  /** The greatest watermark so far. */
  private firmMs = Number.NEGATIVE_INFINITY;

  constructor(mode: FirmMode) {
    this.mode = mode;
  }

  get dueMs(): number {
    return Math.min(this.pending.firstMs + 1, this.mode.dueMs);
  }

  get waiting(): number {
    return this.pending.size;
  }

  waitingRange(): { readonly fromMs: number; readonly toMs: number } {
    return { fromMs: this.pending.firstMs, toMs: this.pending.lastMs };
  }

  get isUnderWay(): boolean {
    return !this.mode.isEmpty;
  }

  get isEmpty(): boolean {
    return this.pending.size === 0 && this.mode.isEmpty;
  }

  insert(hit: FirmHit): 'applied' | 'duplicate' | FirmDegradedRange {
    // Copies of an event have one time (X2): a copy of a hit that was taken is below the watermark, never counted twice.
    if (hit.timeMs < this.firmMs) return { fromMs: hit.timeMs, toMs: hit.timeMs, reason: 'below_watermark' };
    if (this.pending.has(hit)) return 'duplicate';
    if (this.pending.size >= PENDING_HITS_MAX)
      return { fromMs: hit.timeMs, toMs: hit.timeMs, reason: 'pending_hits_max' };
    this.pending.add(hit);
    return 'applied';
  }

  advance(watermarkMs: number): readonly FirmOutcome[] {
    if (watermarkMs <= this.firmMs) return NOTHING;
    this.firmMs = watermarkMs;
    if (this.dueMs > watermarkMs) return NOTHING;
    const outcomes: FirmOutcome[] = [];
    const emit = (outcome: FirmOutcome): unknown => outcomes.push(outcome);
    const firm: FirmHit[] = [];
    while (this.pending.firstMs < watermarkMs) firm.push(this.pending.take() as FirmHit);
    for (const event of eventsOf(firm)) this.mode.take(event, emit);
    this.mode.pass(watermarkMs, emit);
    return joinDegraded(outcomes);
  }

  expect(firstAtMs: number, lastAtMs: number): void {
    this.mode.expect?.(firstAtMs, lastAtMs);
  }

  write(writer: ByteWriter): void {
    writeTime(writer, this.firmMs);
    writeFirmHits(writer, this.pending.sorted());
    this.mode.write(writer);
  }

  read(reader: ByteReader): this {
    this.firmMs = readTime(reader, Number.NEGATIVE_INFINITY);
    for (const hit of readFirmHits(reader)) this.pending.add(hit);
    this.mode.read(reader);
    return this;
  }
}
