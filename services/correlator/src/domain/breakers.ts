import type { RuleActivation } from '@tracehound/event-model';

/** By organization and rule: append time from which matches are taken again. */
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

export function breakerKey(organizationId: string, ruleId: string): string {
  return JSON.stringify([organizationId, ruleId]);
}
