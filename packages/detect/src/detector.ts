import type { DetectionRule, FieldView, LogSource, OnMatch, RuleSetCompiled } from '@tracehound/sigma';
import { type CorrelationFeed, createCorrelationFeed, type Final } from './correlation-feed.ts';
import { withMode } from './on-match.ts';
import { createRecentFindings, type RecentFindings } from './recent-findings.ts';
import { correlationResult, detectionResult } from './result.ts';

/** An event as the engine takes it. */
export type DetectEvent = {
  readonly id: string;
  /** Event time, ms since the epoch. */
  readonly timeMs: number;
  readonly organization: string;
  readonly view: FieldView;
  /** Null: every rule is tried whatever its log source. */
  readonly logSource: LogSource | null;
};

/** One line of `tracehound detect --format ndjson`. */
export type DetectResult = {
  readonly kind: 'detection' | 'correlation';
  readonly rule_id: string;
  readonly rule_title: string;
  readonly level: string;
  readonly author: string | null;
  /** RFC 3339, UTC, milliseconds. */
  readonly at: string;
  /** Null for a detection, and for a correlation without `group-by`. */
  readonly group: Readonly<Record<string, string | null>> | null;
  readonly event_ids: readonly string[];
  readonly count: number;
  /** Only of events that name an organization: the group is theirs alone (EXACTNESS X13). */
  readonly organization_id?: string;
};

export type DetectOptions = {
  /** Allowed lateness L in ms: how far behind the newest event an event may be (X3). */
  readonly latenessMs: number;
  /** In place of what each correlation says of itself; holds for monotone rules with sliding windows. */
  readonly onMatch?: OnMatch;
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
};

const NOTHING: readonly DetectResult[] = [];
const NONE: readonly number[] = [];

/**
 * Detections are told at once, correlations when they are firm, that is when the newest event is more than the
 * lateness past the last time that could change them. A result never depends on how the events were batched.
 */
export function createDetector(ruleSet: RuleSetCompiled, options: DetectOptions): Detector {
  const set = options.onMatch ? withMode(ruleSet, options.onMatch) : ruleSet;
  return new StreamDetector(set, options.latenessMs);
}

class StreamDetector implements Detector {
  private readonly ruleSet: RuleSetCompiled;
  private readonly latenessMs: number;
  private readonly feed: CorrelationFeed;
  private readonly recent: RecentFindings;
  private readonly emits: readonly boolean[];
  private readonly feeds: readonly boolean[];
  private newestMs = Number.NEGATIVE_INFINITY;
  private readonly tally = { events: 0, late: 0, duplicates: 0, groupMissing: 0 };

  constructor(ruleSet: RuleSetCompiled, latenessMs: number) {
    this.ruleSet = ruleSet;
    this.latenessMs = latenessMs;
    this.feed = createCorrelationFeed(ruleSet);
    this.recent = createRecentFindings(ruleSet.detections.length);
    this.emits = ruleSet.detections.map((rule) => rule.emitsFinding);
    this.feeds = ruleSet.detections.map((rule) => rule.feeds.length > 0);
  }

  counters(): DetectCounters {
    return { ...this.tally };
  }

  push(event: DetectEvent): readonly DetectResult[] {
    this.tally.events++;
    const results: DetectResult[] = [];
    const matched = this.ruleSet.matchEvent(event.view, event.logSource);
    let feeds = false;
    for (const rule of matched) {
      if (this.feeds[rule]) feeds = true;
      if (this.emits[rule]) this.detection(rule, event, results);
    }
    this.correlate(event, feeds ? matched : NONE, results);
    return results.length === 0 ? NOTHING : results;
  }

  end(): readonly DetectResult[] {
    return this.feed.end().map((final) => correlationResult(final));
  }

  private detection(rule: number, event: DetectEvent, results: DetectResult[]): void {
    if (this.recent.isCopy(rule, event)) this.tally.duplicates++;
    else results.push(detectionResult(this.ruleSet.detections[rule] as DetectionRule, event));
  }

  private correlate(event: DetectEvent, matched: readonly number[], results: DetectResult[]): void {
    if (event.timeMs > this.newestMs) {
      this.newestMs = event.timeMs;
      this.tell(this.feed.advance(event.timeMs - this.latenessMs), results);
    } else if (event.timeMs < this.newestMs - this.latenessMs) {
      this.tally.late++;
      return;
    }
    if (matched.length === 0) return;
    const { matches, groupMissing } = this.ruleSet.matchesOf(event.view, matched);
    this.tally.groupMissing += groupMissing.length;
    for (const match of matches) this.feed.add(match, event);
  }

  private tell(finals: readonly Final[], results: DetectResult[]): void {
    for (const final of finals) results.push(correlationResult(final));
  }
}
