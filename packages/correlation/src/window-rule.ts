import type { CorrelationRule } from '@tracehound/sigma';

/** What the window machinery needs to know of a correlation. Times in milliseconds. */
export type WindowRule = {
  readonly type: CorrelationRule['type'];
  readonly spanMs: number;
  /** event_count: events; value_count: distinct values; temporal_ordered: steps. */
  readonly threshold: number;
  readonly strict: boolean;
  /** Frame length F (X10.3): episodes are cut at its multiples. */
  readonly frameMs: number;
};

const DAY_MS = 86_400_000;

/** F = the smallest multiple of the span that is at least 24 h, so that a long attack gives one alert a day (X10.3). */
export function frameOf(spanMs: number): number {
  return Math.ceil(DAY_MS / spanMs) * spanMs;
}

export function windowRuleOf(rule: CorrelationRule): WindowRule {
  return {
    type: rule.type,
    spanMs: rule.timespanMs,
    threshold: rule.threshold,
    strict: rule.strict,
    frameMs: frameOf(rule.timespanMs),
  };
}

/** X10.9: an open alert speaks at most once a minute of watermark. */
export const UPDATE_MS = 60_000;

/**
 * Event time from which a rebuild must read (X12), so that everything that can still influence an alert above
 * `watermarkMs` is seen: frame_start(W - 2 span) - span. A rule whose span is below a minute goes two minutes back, because
 * updates keep the rhythm of minutes. The caller starts at the first record of the matches log whose watermark is at least
 * this less one span, or that carries an event at least as young, and mutes what comes before the base.
 */
export function rebuildFromMs(watermarkMs: number, spanMs: number): number {
  const frameMs = frameOf(spanMs);
  return Math.floor((watermarkMs - 2 * Math.max(spanMs, UPDATE_MS)) / frameMs) * frameMs - spanMs;
}
