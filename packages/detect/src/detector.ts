import type { FieldView, LogSource, OnMatch, RuleSetCompiled } from '@tracehound/sigma';

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
  readonly group: Readonly<Record<string, string>> | null;
  readonly event_ids: readonly string[];
  readonly count: number;
};

export type DetectOptions = {
  /** Allowed lateness L in ms: how far behind the newest event an event may be (X3). */
  readonly latenessMs: number;
  /** In place of what each correlation says of itself. */
  readonly onMatch?: OnMatch;
};

/** Results come in the order in which they are decided. */
export type Detector = {
  push(event: DetectEvent): readonly DetectResult[];
  /** Closes the input: every window is decided. */
  end(): readonly DetectResult[];
};

/** @see Detector */
export function createDetector(ruleSet: RuleSetCompiled, options: DetectOptions): Detector {
  throw new RangeError(`not wired for ${ruleSet.rulesetId} and ${options.latenessMs} ms`);
}
