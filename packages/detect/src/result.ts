import type { OfflineFinal } from '@tracehound/correlation';
import { PLATFORM_ORGANIZATION } from '@tracehound/event-model';
import { type DetectionRule, groupOf } from '@tracehound/sigma';
import type { EventPlace } from './event.ts';
import { rfc3339 } from './rfc3339.ts';

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
  /** Evidence: ids of events, sorted; of a chain, the events that its inner correlations stand on. */
  readonly event_ids: readonly string[];
  readonly count: number;
  /** Only of events that name an organization: the group is theirs alone (EXACTNESS X13). */
  readonly organization_id?: string;
};

export function detectionResult(rule: DetectionRule, event: EventPlace): DetectResult {
  const { description } = rule;
  return {
    kind: 'detection',
    rule_id: description.rule_id,
    rule_title: description.title,
    level: description.level,
    author: description.author,
    at: rfc3339(event.timeMs),
    group: null,
    event_ids: [event.id],
    count: 1,
    ...organizationOf(event.organization),
  };
}

/** `eventIds`: the evidence, sorted. */
export function correlationResult(final: OfflineFinal, eventIds: readonly string[]): DetectResult {
  const { rule, groupKey } = final;
  const { description } = rule;
  const group = groupOf(rule, groupKey).map(({ field, value }) => [field, value] as const);
  return {
    kind: 'correlation',
    rule_id: description.rule_id,
    rule_title: description.title,
    level: description.level,
    author: description.author,
    at: rfc3339(final.atMs),
    group: group.length === 0 ? null : Object.fromEntries(group),
    event_ids: eventIds,
    count: final.count,
    ...organizationOf(final.organization),
  };
}

function organizationOf(organization: string): Pick<DetectResult, 'organization_id'> {
  return organization === PLATFORM_ORGANIZATION ? {} : { organization_id: organization };
}
