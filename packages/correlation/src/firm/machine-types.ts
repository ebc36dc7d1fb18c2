import type { ByteWriter } from '../byte-codec.ts';
import type { Hit } from '../hit.ts';

/**
 * The seam between the partition engine and the machines of rules `decided: 'watermark'`. A machine holds the state of one
 * (correlation, organization, group). It sees hits in any order and speaks only about what is firm (time < watermark), so
 * what it says is a function of the set of hits, whatever their order and however often `advance` is called.
 */
export interface FirmMachine {
  /**
   * Takes a hit at or above the watermark. A second copy (id, step, value) has no effect (EXACTNESS X6). A range means
   * that the hit was not, or not exactly, taken into account.
   */
  insert(hit: FirmHit): 'applied' | 'duplicate' | FirmDegradedRange;
  /** Everything below the watermark is firm from now on. Outcomes in the order of the times at which they were decided. */
  advance(watermarkMs: number): readonly FirmOutcome[];
  /**
   * `expect` only: the least and the greatest event time of the rule's hits in the organization, of all groups, as known
   * now. Windows are evaluated from the first whole one after the least; `END_OF_INPUT` stops at the greatest.
   */
  expect(firstAtMs: number, lastAtMs: number): void;
  /** The least watermark at which `advance` has work to do; Infinity for never. */
  readonly dueMs: number;
  /** Hits that wait for the watermark. */
  readonly waiting: number;
  /** Times of the first and the last of them; Infinity and -Infinity without any. O(n). */
  waitingRange(): { readonly fromMs: number; readonly toMs: number };
  /** More than waiting hits is kept, all of it from before the greatest watermark so far. */
  readonly isUnderWay: boolean;
  /** Nothing is kept: the engine may forget the machine and make a new one for the next hit. */
  readonly isEmpty: boolean;
  /** Equal state writes equal bytes. */
  write(writer: ByteWriter): void;
}

/** A match as these machines see it: a hit with the number that sums, averages and percentiles are made of. */
export type FirmHit = Hit & { readonly number: number | null };

export type FirmMachineOptions = {
  /** `alerts`: the rule's own mode. `chain`: the hits it gives to outer correlations (semantics section 7). */
  readonly purpose: 'alerts' | 'chain';
};

export type FirmOutcome = FirmFinal | FirmChainHit | { readonly kind: 'degraded'; readonly range: FirmDegradedRange };

/** A decided window, episode or trigger. */
export type FirmFinal = {
  readonly kind: 'final';
  readonly firstAtMs: number;
  readonly lastAtMs: number;
  /** The least watermark at which this was decided. */
  readonly decidedMs: number;
  /** Set where no event triggers: then the alert id is made of it (X9). */
  readonly timerDueMs: number | null;
  /** Id of the event that made the condition true. */
  readonly trigger: string | null;
  /** Episodes: number of the frame of the left end; tumbling: number of the window; session: its start time. */
  readonly frame: number;
  /** In total order; with source coordinates, for the record. */
  readonly evidence: readonly FirmHit[];
  /** Sorted ids of the evidence, each once. */
  readonly eventIds: readonly string[];
  /** What the condition counted: distinct ids, distinct values, or the sum. */
  readonly count: number;
  readonly countExact: boolean;
  /** True where a sketch stood in for the numbers: within its documented error. */
  readonly approx: boolean;
};

/** A hit of an inner correlation for the outer ones. */
export type FirmChainHit = {
  readonly kind: 'chain';
  /** Time of the trigger; without one of the newest evidence, without evidence the end of the window. */
  readonly timeMs: number;
  /** Id of the trigger event, without one `due:` and the timer's time: the last part of the alert id (X9). */
  readonly triggerId: string;
  /** As in a final: part of the alert id. */
  readonly frame: number;
  /** The group had no chain hit in the span before: outer counts and sums count only these. */
  readonly isNewBurst: boolean;
  readonly evidence: readonly FirmHit[];
};

/** A range in which state had to be dropped, so that results may differ from the exact ones (X14). */
export type FirmDegradedRange = {
  readonly fromMs: number;
  readonly toMs: number;
  readonly reason: FirmDegradedReason;
};
/**
 * `pending_hits_max`: too many hits wait for the watermark; `window_hits_max`: a window holds too many; `below_watermark`: the
 * hit came after its time had become firm.
 */
export type FirmDegradedReason = 'pending_hits_max' | 'window_hits_max' | 'below_watermark';
