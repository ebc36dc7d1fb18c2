import { PLATFORM_ORGANIZATION } from '@tracehound/event-model';
import { type DetectionRule, groupOf } from '@tracehound/sigma';
import type { Final } from './correlation-feed.ts';
import type { DetectEvent, DetectResult } from './detector.ts';
import { rfc3339 } from './rfc3339.ts';

export function detectionResult(rule: DetectionRule, event: DetectEvent): DetectResult {
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

export function correlationResult(final: Final): DetectResult {
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
    event_ids: final.eventIds,
    count: final.count,
    ...organizationOf(final.organization),
  };
}

function organizationOf(organization: string): Pick<DetectResult, 'organization_id'> {
  return organization === PLATFORM_ORGANIZATION ? {} : { organization_id: organization };
}
