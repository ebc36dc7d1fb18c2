import type { Bound, CorrelationDefinition, StepExpression } from '@tracehound/sigma';

/** The short form of the three types of the first engine: gte, sliding, suppress. Times in milliseconds. */
export type OracleRule = {
  readonly type: 'event_count' | 'value_count' | 'temporal_ordered';
  readonly spanMs: number;
  /** Events, distinct values, or steps. */
  readonly threshold: number;
  readonly strict?: boolean;
};

/** An on-time event that matched the rule. Several entries may have one id: several steps or values of one event. */
export type OracleEvent = {
  readonly organization: string;
  readonly group: string;
  readonly id: string;
  readonly timeMs: number;
  readonly step: number;
  readonly value: string | null;
  /** value_sum, value_avg, value_percentile: the number counted. */
  readonly number?: number | null;
  readonly instance?: string | null;
  readonly sequence?: number | null;
};

/** A final alert. E2 compares all but `triggerId` and `count`; the rule is the one asked about. */
export type FinalAlert = {
  readonly organization: string;
  readonly group: string;
  readonly firstAtMs: number;
  readonly lastAtMs: number;
  readonly eventIds: readonly string[];
  /** null where a window's end decides: anchors, tumbling, session, expect. */
  readonly triggerId: string | null;
  /** Section 9. */
  readonly count: number;
};

/** A final alert and what only ids and chains need. */
export type Final = FinalAlert & {
  /** The instant the condition was first seen to hold: left end, trigger, anchor, or start of the window. */
  readonly leftMs: number;
  /** Time of the newest evidence; `lastAtMs` when there is none. */
  readonly newestMs: number;
};

/** X2: (event time, event id). */
export function byTotalOrder(a: OracleEvent, b: OracleEvent): number {
  return a.timeMs - b.timeMs || compareText(a.id, b.id);
}

export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

export function definitionOfRule(rule: OracleRule): CorrelationDefinition {
  const ordered = rule.type === 'temporal_ordered';
  return {
    type: rule.type,
    spanMs: rule.spanMs,
    window: { kind: 'sliding' },
    bounds: ordered ? [] : [{ relation: 'gte', value: rule.threshold }],
    percentile: null,
    temporal: null,
    ordered: ordered ? Array.from({ length: rule.threshold }, (_, step) => ({ step, runs: 1, negated: false })) : [],
    strict: rule.strict ?? false,
    gapMs: null,
    until: [],
    reuse: false,
    onMatch: 'suppress',
    suppressMs: null,
    expect: [],
    decided: 'arrival',
  };
}

export function isTemporal(definition: CorrelationDefinition): boolean {
  return definition.type === 'temporal' || definition.type === 'temporal_ordered';
}

function onlyLowerBounds(bounds: readonly Bound[]): boolean {
  return bounds.every(({ relation }) => relation === 'gt' || relation === 'gte');
}

/** Section 1: negative numbers are no hits of a sum that only has lower bounds. */
export function dropsNegatives(definition: CorrelationDefinition): boolean {
  return definition.type === 'value_sum' && onlyLowerBounds(definition.bounds);
}

/** Section 2: can more hits only make c true? */
export function isMonotone(definition: CorrelationDefinition): boolean {
  switch (definition.type) {
    case 'event_count':
    case 'value_count':
    case 'value_sum':
      return onlyLowerBounds(definition.bounds);
    case 'temporal':
      return definition.temporal !== null && !mentionsNot(definition.temporal);
    case 'temporal_ordered':
      return definition.until.length === 0 && definition.ordered.every((step) => !step.negated);
    case 'value_avg':
    case 'value_percentile':
    case 'value_rarity':
      return false;
  }
}

function mentionsNot(expression: StepExpression): boolean {
  switch (expression.op) {
    case 'not':
      return true;
    case 'and':
    case 'or':
      return expression.of.some(mentionsNot);
    case 'step':
    case 'at_least':
      return false;
  }
}

export function meetsAll(bounds: readonly Bound[], value: number): boolean {
  return bounds.every((bound) => {
    switch (bound.relation) {
      case 'lt':
        return value < bound.value;
      case 'lte':
        return value <= bound.value;
      case 'gt':
        return value > bound.value;
      case 'gte':
        return value >= bound.value;
      case 'eq':
        return value === bound.value;
      case 'neq':
        return value !== bound.value;
    }
  });
}

/** X10.3: the smallest multiple of the span that is at least 24 h. */
export function frameLengthMs(spanMs: number): number {
  let frameMs = spanMs;
  while (frameMs < 86_400_000) frameMs += spanMs * Math.max(1, Math.floor((86_400_000 - frameMs) / spanMs));
  return frameMs;
}
