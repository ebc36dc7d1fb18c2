import { createOfflineEngine, type OfflineEngine, type OfflineFinal, type OfflineGap } from '@tracehound/correlation';
import type { DetectionRule, OnMatch, RuleSetCompiled } from '@tracehound/sigma';
import type { DetectEvent, EventPlace } from './event.ts';
import { createMatchStage, type Matched } from './match-stage.ts';
import { withMode } from './on-match.ts';
import { createRecentFindings, type RecentFindings } from './recent-findings.ts';
import { correlationResult, type DetectResult, detectionResult } from './result.ts';

export type DetectOptions = {
  /**
   * Allowed lateness L in ms: how far behind the newest event an event may be (X3). Infinity: no event is late, and only
   * `Decider.advance` moves time, for readers of a log that judge lateness by append times.
   */
  readonly latenessMs: number;
  /** In place of what each correlation says of itself; holds for monotone rules with sliding windows. */
  readonly onMatch?: OnMatch;
  /** Hears of every correlation that is decided, before its result is returned. */
  readonly onFinal?: (final: OfflineFinal) => void;
};

/** What went in, and what of it took no part; every event is in `events`. */
export type DetectCounters = {
  readonly events: number;
  /** Further behind the newest event than the lateness: seen by detections, not by correlations (X3). */
  readonly late: number;
  /** Detections of an event id that had given the same detection before (X6). */
  readonly duplicates: number;
  /** Matches that lacked a group or value field of a correlation. */
  readonly groupMissing: number;
};

/** Results come in the order in which they are decided. */
export type Detector = {
  push(event: DetectEvent): readonly DetectResult[];
  /** Closes the input: every window is decided. */
  end(): readonly DetectResult[];
  counters(): DetectCounters;
  /** Ranges in which state had to be dropped since the last call, so that results may differ from the exact ones (X14). */
  takeGaps(): readonly OfflineGap[];
};

const NOTHING: readonly DetectResult[] = [];

/**
 * Detections are told at once, correlations when they are firm, that is when the newest event is more than the
 * lateness past the last time that could change them. A result never depends on how the events were batched.
 */
export function createDetector(ruleSet: RuleSetCompiled, options: DetectOptions): Detector {
  const match = createMatchStage(ruleSet);
  const decider = createDecider(ruleSet, options);
  return {
    push: (event) => decider.push(event, match(event)),
    end: () => decider.end(),
    counters: () => decider.counters(),
    takeGaps: () => decider.takeGaps(),
  };
}

/**
 * The second half of a detector, which needs the events in their order. The first half, `createMatchStage`, does not: it
 * may run anywhere, many times over.
 */
export type Decider = {
  push(event: EventPlace, matched: Matched): readonly DetectResult[];
  /** Everything before the watermark (ms) has been pushed; costs nothing when nothing is due. */
  advance(watermarkMs: number): readonly DetectResult[];
  end(): readonly DetectResult[];
  counters(): DetectCounters;
  takeGaps(): readonly OfflineGap[];
};

/** @see Decider */
export function createDecider(ruleSet: RuleSetCompiled, options: DetectOptions): Decider {
  return new StreamDecider(options.onMatch ? withMode(ruleSet, options.onMatch) : ruleSet, options);
}

class StreamDecider implements Decider {
  private readonly detections: RuleSetCompiled['detections'];
  private readonly latenessMs: number;
  private readonly onFinal: DetectOptions['onFinal'];
  private readonly engine: OfflineEngine;
  private readonly recent: RecentFindings;
  private newestMs = Number.NEGATIVE_INFINITY;
  private readonly tally = { events: 0, late: 0, duplicates: 0, groupMissing: 0 };

  constructor(ruleSet: RuleSetCompiled, { latenessMs, onFinal }: DetectOptions) {
    this.detections = ruleSet.detections;
    this.latenessMs = latenessMs;
    this.onFinal = onFinal;
    this.engine = createOfflineEngine(ruleSet);
    this.recent = createRecentFindings(ruleSet.detections.length);
  }

  counters(): DetectCounters {
    return { ...this.tally };
  }

  push(event: EventPlace, matched: Matched): readonly DetectResult[] {
    this.tally.events++;
    let results: DetectResult[] | null = null;
    for (const rule of matched.findings) {
      if (this.recent.isCopy(rule, event)) this.tally.duplicates++;
      else (results ??= []).push(detectionResult(this.detections[rule] as DetectionRule, event));
    }
    if (event.timeMs > this.newestMs) {
      this.newestMs = event.timeMs;
      for (const final of this.engine.advance(event.timeMs - this.latenessMs)) {
        (results ??= []).push(this.told(final));
      }
    }
    this.correlate(event, matched);
    return results ?? NOTHING;
  }

  advance(watermarkMs: number): readonly DetectResult[] {
    const finals = this.engine.advance(watermarkMs);
    return finals.length === 0 ? NOTHING : finals.map((final) => this.told(final));
  }

  takeGaps(): readonly OfflineGap[] {
    return this.engine.takeGaps();
  }

  end(): readonly DetectResult[] {
    return this.engine.end().map((final) => this.told(final));
  }

  private told(final: OfflineFinal): DetectResult {
    this.onFinal?.(final);
    return correlationResult(final, this.engine.eventsOf(final));
  }

  private correlate(event: EventPlace, matched: Matched): void {
    this.tally.groupMissing += matched.groupMissing;
    if (event.timeMs < this.newestMs - this.latenessMs) this.tally.late++;
    else for (const match of matched.matches) this.engine.add(match, event);
  }
}
