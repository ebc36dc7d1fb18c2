import type { RuleMatch, RuleSetCompiled } from '@tracehound/sigma';
import type { DetectEvent } from './event.ts';

/** What an event alone says; plain data, so that it can cross to another thread. */
export type Matched = {
  /** Detections that are results of their own, by index. */
  readonly findings: readonly number[];
  /** What it gives to correlations. */
  readonly matches: readonly RuleMatch[];
  /** Correlations it would have fed, had it had their group and value fields. */
  readonly groupMissing: number;
};

/** Stateless: the order of events does not matter. */
export type MatchStage = (event: Pick<DetectEvent, 'view' | 'logSource'>) => Matched;

const NO_NUMBERS: readonly number[] = [];
const NO_MATCHES: readonly RuleMatch[] = [];
const NOTHING: Matched = { findings: NO_NUMBERS, matches: NO_MATCHES, groupMissing: 0 };

/** @see MatchStage */
export function createMatchStage(ruleSet: RuleSetCompiled): MatchStage {
  const emits = ruleSet.detections.map((rule) => rule.emitsFinding);
  const feeds = ruleSet.detections.map((rule) => rule.feeds.length > 0);
  return ({ view, logSource }) => {
    const detections = ruleSet.matchEvent(view, logSource);
    if (detections.length === 0) return NOTHING;
    let findings = NO_NUMBERS;
    let isFed = false;
    for (const rule of detections) {
      if (emits[rule] === true) findings = findings === NO_NUMBERS ? [rule] : [...findings, rule];
      if (feeds[rule] === true) isFed = true;
    }
    if (!isFed) return { findings, matches: NO_MATCHES, groupMissing: 0 };
    const { matches, groupMissing } = ruleSet.matchesOf(view, detections);
    return { findings, matches, groupMissing: groupMissing.length };
  };
}
