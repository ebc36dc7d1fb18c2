/**
 * What a correlation asks of the matches of one group, as data. `docs/design/correlation-semantics.md` says what each
 * part means; the engine, the oracle and `explain` read this and nothing else. Times in milliseconds.
 */
export type CorrelationDefinition = {
  readonly type: CorrelationType;
  readonly spanMs: number;
  readonly window: WindowShape;
  /** Counts, sums, averages, percentiles, shares: all must hold. Empty for temporal and ordered types. */
  readonly bounds: readonly Bound[];
  /** value_percentile only: rank from 0 to 100 (`value_median` is rank 50). */
  readonly percentile: number | null;
  /** temporal only. */
  readonly temporal: StepExpression | null;
  /** temporal_ordered only, in the order in which steps must happen. */
  readonly ordered: readonly OrderedStep[];
  /** temporal_ordered: neighbouring steps need growing times; a tie does not count (EXACTNESS X2). */
  readonly strict: boolean;
  /** temporal_ordered: at most so much time between neighbouring steps; null for no limit but the span. */
  readonly gapMs: number | null;
  /** temporal_ordered: steps whose hits end every chain they fall into (EQL `until`). */
  readonly until: readonly number[];
  /** temporal types: one event may serve several steps. */
  readonly reuse: boolean;
  readonly onMatch: OnMatch;
  /** `suppress` mode: an episode is also cut this long after its left end; null for never. */
  readonly suppressMs: number | null;
  /** Groups that are due even when nothing happens, as group keys (`groupKeyOf`); event_count only. */
  readonly expect: readonly string[];
  /**
   * `arrival`: sliding, `suppress`, monotone and without a chained step; opens on arrival (X10.8). `watermark`:
   * everything else; speaks only when its window is firm.
   */
  readonly decided: 'arrival' | 'watermark';
};

export type CorrelationType =
  | 'event_count'
  | 'value_count'
  | 'value_sum'
  | 'value_avg'
  | 'value_percentile'
  | 'value_rarity'
  | 'temporal'
  | 'temporal_ordered';

export type WindowShape =
  | { readonly kind: 'sliding' }
  /** [k * span, (k + 1) * span), from the epoch. */
  | { readonly kind: 'tumbling' }
  /** Events no further apart than the gap; the span is the longest session. */
  | { readonly kind: 'session'; readonly gapMs: number };

export type BoundRelation = 'lt' | 'lte' | 'gt' | 'gte' | 'eq' | 'neq';
export type Bound = { readonly relation: BoundRelation; readonly value: number };

/** Condition over steps: which of them have happened. */
export type StepExpression =
  | { readonly op: 'step'; readonly step: number }
  | { readonly op: 'and' | 'or'; readonly of: readonly StepExpression[] }
  | { readonly op: 'not'; readonly of: StepExpression }
  /** At least so many of these steps. */
  | { readonly op: 'at_least'; readonly count: number; readonly steps: readonly number[] };

export type OrderedStep = {
  readonly step: number;
  /** So many events of the step, one after the other; 1 unless `x-corr.runs` says more. */
  readonly runs: number;
  /** Must not happen between its neighbours. */
  readonly negated: boolean;
};

export type OnMatch = 'suppress' | 'reset' | 'every';

/** Where the hits of a step come from: a detection or, in a chain, another correlation; by index in the rule set. */
export type StepSource =
  | { readonly kind: 'detection'; readonly detection: number }
  | { readonly kind: 'correlation'; readonly correlation: number };
