import { PLATFORM_ORGANIZATION } from '@tracehound/event-model';
import type { CorrelationRule, RuleSetCompiled } from '@tracehound/sigma';
import type { EventPlace } from './event.ts';
import type { Matched } from './match-stage.ts';
import type { DetectResult } from './result.ts';
import { rfc3339 } from './rfc3339.ts';

/** What a correlation asked for, and the events it found, for `detect --explain`. */
export type CorrelationExplanation = {
  readonly asked: string;
  readonly timespan_ms: number;
  /** The evidence in order of time; an event of long ago may have been let go, then it has only its id. */
  readonly evidence: readonly { readonly id: string; readonly at?: string; readonly steps?: readonly string[] }[];
};

/** Remembers which steps events matched, so that evidence can be shown with its times. */
export type EvidenceLog = {
  add(event: EventPlace, matched: Matched): void;
  explain(result: DetectResult): CorrelationExplanation | undefined;
};

/** Two generations of 250,000 matches of about 150 bytes are 75 MB at most. */
const GENERATION_MAX = 250_000;

type Seen = { readonly timeMs: number; readonly steps: number[] };

/** @see EvidenceLog */
export function createEvidenceLog(ruleSet: RuleSetCompiled): EvidenceLog {
  const rules = new Map(
    ruleSet.correlations.flatMap((rule) =>
      rule.override || rule.isWarming ? [] : [[rule.description.rule_id, rule] as const],
    ),
  );
  let young = new Map<string, Seen>();
  let old = new Map<string, Seen>();
  const keyOf = (rule: number, organization: string, id: string): string => `${rule} ${organization} ${id}`;
  return {
    add: (event, { matches }) => {
      for (const { rule, step } of matches) {
        const key = keyOf(rule, event.organization, event.id);
        const seen = young.get(key);
        if (seen) {
          if (!seen.steps.includes(step)) seen.steps.push(step);
          continue;
        }
        if (young.size === GENERATION_MAX) {
          old = young;
          young = new Map();
        }
        young.set(key, { timeMs: event.timeMs, steps: [step] });
      }
    },
    explain: (result) => {
      const rule = rules.get(result.rule_id);
      if (!rule) return undefined;
      const organization = result.organization_id ?? PLATFORM_ORGANIZATION;
      const form = ruleSet.correlations[ruleSet.inOrganization(rule.index, organization)] ?? rule;
      const evidence = result.event_ids.map((id) => {
        const key = keyOf(rule.index, organization, id);
        return { id, seen: young.get(key) ?? old.get(key) };
      });
      evidence.sort((a, b) => (a.seen?.timeMs ?? 0) - (b.seen?.timeMs ?? 0) || (a.id < b.id ? -1 : 1));
      return {
        asked: askedText(ruleSet, form),
        timespan_ms: rule.timespanMs,
        evidence: evidence.map(({ id, seen }) =>
          seen
            ? { id, at: rfc3339(seen.timeMs), steps: seen.steps.map((step) => stepName(ruleSet, rule, step)) }
            : { id },
        ),
      };
    },
  };
}

/** The condition in a few words. */
function askedText(ruleSet: RuleSetCompiled, rule: CorrelationRule): string {
  const { type, bounds, ordered } = rule.definition;
  const steps = rule.stepSources.map((_, step) => stepName(ruleSet, rule, step));
  if (type === 'temporal_ordered') {
    return ordered
      .map(
        ({ step, runs, negated }) =>
          `${negated ? 'not ' : ''}${steps[step] ?? step}${runs > 1 ? ` ${runs} times` : ''}`,
      )
      .join(', then ');
  }
  if (type === 'temporal') return `all that the condition names of: ${steps.join(', ')}`;
  const asked = bounds.map(({ relation, value }) => `${relation} ${value}`).join(' and ');
  const fields = rule.valueFields.length > 0 ? ` of ${rule.valueFields.join(', ')}` : '';
  return `${type}${fields} ${asked} of: ${steps.join(', ')}`;
}

/** Name of a step: that of the rule it comes from. */
export function stepName(ruleSet: RuleSetCompiled, rule: CorrelationRule, step: number): string {
  const source = rule.stepSources[step];
  if (!source) return `step ${step + 1}`;
  const target =
    source.kind === 'detection' ? ruleSet.detections[source.detection] : ruleSet.correlations[source.correlation];
  return target?.name ?? target?.description.title ?? `step ${step + 1}`;
}
