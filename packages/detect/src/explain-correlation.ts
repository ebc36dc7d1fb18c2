import { type CorrelationRule, groupOf, groupValues, type RuleSetCompiled } from '@tracehound/sigma';
import type { EventPlace } from './event.ts';
import { stepName } from './evidence-log.ts';
import type { Matched } from './match-stage.ts';
import { chainSteps, counterfactualOf, type GroupHit, type NearMiss, nearMissOf, stepsAsked } from './near-miss.ts';
import { rfc3339 } from './rfc3339.ts';

/** How close one group of a correlation came, in words and numbers. */
export type GroupExplanation = {
  readonly rule_id: string;
  readonly rule_title: string;
  readonly organization_id: string;
  readonly group: Readonly<Record<string, string | null>> | null;
  /** Did the condition hold in some window? */
  readonly holds: boolean;
  /** `3 of 5 events`. */
  readonly reached: string;
  /** What lacked, and until when it could have come; null when it held. */
  readonly missing: string | null;
  /** Times of the first and last event of the closest window. */
  readonly from: string;
  readonly to: string;
  /** Its events, at most 32, in order. */
  readonly events: readonly {
    readonly id: string;
    readonly at: string;
    readonly step: string;
    readonly value: string | null;
  }[];
  /** Changes of the rule with which it would have fired. */
  readonly would_fire_with: readonly string[];
};

/** Collects the matches of a recording and says of each correlation which groups came closest. */
export type CorrelationExplainer = {
  add(event: EventPlace, matched: Matched): void;
  /** The closest groups of a correlation, those that fired first, then by distance. */
  closest(rule: CorrelationRule, groupsMax: number): readonly GroupExplanation[];
  /** Matches that were not kept, beyond the bounds below. */
  readonly dropped: number;
};

/** 200,000 matches of about 150 bytes are 30 MB. */
const HITS_MAX = 200_000;
/** Windows are compared hit by hit, so a group is looked at up to here. */
const GROUP_HITS_MAX = 512;
const EVENTS_SHOWN = 32;

type Group = { readonly organization: string; readonly groupKey: string; readonly hits: GroupHit[] };

/** @see CorrelationExplainer */
export function createCorrelationExplainer(ruleSet: RuleSetCompiled): CorrelationExplainer {
  const groups = ruleSet.correlations.map(() => new Map<string, Group>());
  let kept = 0;
  let dropped = 0;
  return {
    add: (event, { matches }) => {
      for (const match of matches) {
        const ofRule = groups[ruleSet.inOrganization(match.rule, event.organization)];
        if (!ofRule) continue;
        const key = JSON.stringify([event.organization, match.group_key]);
        const group = ofRule.get(key) ?? { organization: event.organization, groupKey: match.group_key, hits: [] };
        ofRule.set(key, group);
        if (kept === HITS_MAX || group.hits.length === GROUP_HITS_MAX) {
          dropped++;
          continue;
        }
        kept++;
        const { step, value, number } = match;
        group.hits.push({ id: event.id, timeMs: event.timeMs, step, value, number });
      }
    },
    closest: (rule, groupsMax) =>
      [...(groups[rule.index]?.values() ?? [])]
        .flatMap((group) => explained(ruleSet, rule, group))
        .sort((a, b) => a.distance - b.distance || (a.key < b.key ? -1 : 1))
        .slice(0, groupsMax)
        .map(({ explanation }) => explanation),
    get dropped() {
      return dropped;
    },
  };
}

type Ranked = { readonly distance: number; readonly key: string; readonly explanation: GroupExplanation };

function explained(ruleSet: RuleSetCompiled, rule: CorrelationRule, group: Group): readonly Ranked[] {
  // Steps of one instant are taken in the order asked for: a tie satisfies either order (X2).
  const hits = [...group.hits].sort((a, b) => a.timeMs - b.timeMs || a.step - b.step || (a.id < b.id ? -1 : 1));
  const closest = nearMissOf(rule.definition, hits);
  if (!closest) return [];
  const fields = groupOf(rule, group.groupKey).map(({ field, value }) => [field, value] as const);
  const explanation: GroupExplanation = {
    rule_id: rule.description.rule_id,
    rule_title: rule.description.title,
    organization_id: group.organization,
    group: fields.length === 0 ? null : Object.fromEntries(fields),
    holds: closest.distance === 0,
    reached: reachedText(rule, closest),
    missing: closest.distance === 0 ? null : missingText(ruleSet, rule, closest),
    from: rfc3339(closest.fromMs),
    to: rfc3339(closest.toMs),
    events: closest.hits.slice(0, EVENTS_SHOWN).map((hit) => ({
      id: hit.id,
      at: rfc3339(hit.timeMs),
      step: stepName(ruleSet, rule, hit.step),
      value: valueText(hit),
    })),
    would_fire_with: closest.distance === 0 ? [] : changes(rule, hits, closest),
  };
  return [{ distance: closest.distance, key: `${group.organization} ${group.groupKey}`, explanation }];
}

function valueText({ value, number }: GroupHit): string | null {
  if (value !== null) return groupValues(value).join(', ');
  return number === null ? null : String(number);
}

/** What the measure counts. */
function nounOf(rule: CorrelationRule): string {
  switch (rule.definition.type) {
    case 'event_count':
      return 'events';
    case 'value_count':
      return `values of ${rule.valueFields.join(', ') || 'the field'}`;
    case 'value_sum':
      return `sum of ${rule.valueFields[0] ?? 'the field'}`;
    case 'value_avg':
      return `average of ${rule.valueFields[0] ?? 'the field'}`;
    case 'value_percentile':
      return `percentile ${rule.definition.percentile ?? 50} of ${rule.valueFields[0] ?? 'the field'}`;
    case 'value_rarity':
      return `percent, the smallest share of a value of ${rule.valueFields.join(', ') || 'the field'}`;
    case 'temporal':
    case 'temporal_ordered':
      return 'steps';
  }
}

function reachedText(rule: CorrelationRule, closest: NearMiss): string {
  const steps = stepsAsked(rule.definition);
  if (steps !== null) return `${closest.measure} of ${steps} steps`;
  const asked = rule.definition.bounds.map(({ relation, value }) => `${relation} ${value}`).join(' and ');
  return `${Number(closest.measure.toFixed(3))} ${nounOf(rule)}, asked for: ${asked}`;
}

function missingText(ruleSet: RuleSetCompiled, rule: CorrelationRule, closest: NearMiss): string {
  const { definition } = rule;
  const until = `until ${rfc3339(closest.fromMs + definition.spanMs)}`;
  if (definition.type === 'temporal_ordered') {
    const next = chainSteps(definition).slice(closest.measure);
    return `${next.map((step) => stepName(ruleSet, rule, step)).join(', then ')} ${until}`;
  }
  if (definition.type === 'temporal') {
    const present = new Set(closest.hits.map((hit) => hit.step));
    const absent = rule.stepSources.flatMap((_, step) => (present.has(step) ? [] : [stepName(ruleSet, rule, step)]));
    return `${closest.distance} of: ${absent.join(', ')} ${until}`;
  }
  const isLower = definition.bounds.some(({ relation }) => relation === 'gte' || relation === 'gt');
  const amount = Number(closest.distance.toFixed(3));
  return `${amount} ${isLower ? 'more' : 'less'}: ${nounOf(rule)} ${until}`;
}

function changes(rule: CorrelationRule, hits: readonly GroupHit[], closest: NearMiss): string[] {
  const { bound, spanMs } = counterfactualOf(rule.definition, hits, closest);
  const texts: string[] = [];
  if (bound) texts.push(`condition ${bound.relation}: ${Number(bound.value.toFixed(3))}`);
  if (spanMs !== null) texts.push(`timespan: ${Math.ceil(spanMs / 1_000)}s`);
  return texts;
}
