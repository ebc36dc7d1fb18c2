import type { RuleActivation } from '@tracehound/event-model';
import type { RuleSetCompiled } from '@tracehound/sigma';

/** What happened where: enough to trip a rule in an organization. */
export type Trip = {
  readonly organizationId: string;
  /** A correlation, whose matches are withheld, or a detection, which is not asked any more. */
  readonly ruleId: string;
  /** For people: what it did. Goes into the activation. */
  readonly reason: string;
};

/** By organization and rule: append time from which it is heard again. */
const tripped = new WeakMap<RuleActivation, ReadonlyMap<string, number>>();

/**
 * X7: whether a match of the rule in the organization is withheld at that append time: a function of the activation and the
 * record, the same whenever the log is read. Where it is, stage B says a degraded range.
 */
export function isWithheld(
  activation: RuleActivation,
  { organizationId, ruleId, appendTimeMs }: { organizationId: string; ruleId: string; appendTimeMs: number },
): boolean {
  if (activation.breakers.length === 0) return false;
  let until = tripped.get(activation);
  if (until === undefined) {
    until = new Map(activation.breakers.map((one) => [breakerKey(one.organization_id, one.rule_id), one.until]));
    tripped.set(activation, until);
  }
  return appendTimeMs < (until.get(breakerKey(organizationId, ruleId)) ?? 0);
}

type TrippedDetection = { readonly index: number; readonly until: number };

/** By organization; an activation names one set, whose rules have one order. */
const trippedDetections = new WeakMap<RuleActivation, ReadonlyMap<string, readonly TrippedDetection[]>>();

/** X7: detections that are not asked about an event of the organization at that append time; undefined: all are. */
export function skippedDetections(
  { activation, rules }: { readonly activation: RuleActivation; readonly rules: RuleSetCompiled },
  { organizationId, appendTimeMs }: { readonly organizationId: string; readonly appendTimeMs: number },
): ReadonlySet<number> | undefined {
  if (activation.breakers.length === 0) return undefined;
  let byOrganization = trippedDetections.get(activation);
  if (byOrganization === undefined) {
    byOrganization = detectionsTripped(activation, rules);
    trippedDetections.set(activation, byOrganization);
  }
  const still = byOrganization.get(organizationId)?.filter(({ until }) => appendTimeMs < until) ?? [];
  return still.length === 0 ? undefined : new Set(still.map(({ index }) => index));
}

function detectionsTripped(
  { breakers }: RuleActivation,
  { detections }: RuleSetCompiled,
): ReadonlyMap<string, readonly TrippedDetection[]> {
  const byOrganization = new Map<string, TrippedDetection[]>();
  for (const { organization_id, rule_id, until } of breakers) {
    // More than one while a changed rule warms up beside the one in force.
    const same = detections.filter(({ id }) => id === rule_id).map(({ index }) => ({ index, until }));
    if (same.length > 0) byOrganization.set(organization_id, [...(byOrganization.get(organization_id) ?? []), ...same]);
  }
  return byOrganization;
}

export function breakerKey(organizationId: string, ruleId: string): string {
  return JSON.stringify([organizationId, ruleId]);
}
