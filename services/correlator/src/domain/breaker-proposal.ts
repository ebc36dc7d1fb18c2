import { BREAKERS_MAX } from '@tracehound/correlation';
import type { RuleActivation } from '@tracehound/event-model';
import type { Activations } from './activations.ts';
import { breakerKey } from './breakers.ts';
import type { Flood } from './flood-guard.ts';

/** X7 asks for 5 s; the rest is for the way to the broker and its clock. */
const NOTICE_MS = 8_000;

/** How long a tripped rule stays tripped. Then its matches are taken again, and if they still flood it is tripped anew. */
export const TRIPPED_MS = 600_000;

/**
 * The activation that trips the rule in the organization: a copy of the latest one, with one breaker more. Null when it is
 * tripped already, or too many others are. `based_on` makes it count only if nobody published in between.
 */
export function breakerProposal(
  activations: Activations,
  flood: Flood,
  at: { readonly brokerTimeMs: number; readonly nowMs: number; readonly activationId: string },
): RuleActivation | null {
  const latest = activations.newest?.activation;
  if (latest === undefined) return null;
  const standing = latest.breakers.filter(({ until }) => until > at.brokerTimeMs);
  const key = breakerKey(flood.organizationId, flood.ruleId);
  if (standing.some((one) => breakerKey(one.organization_id, one.rule_id) === key)) return null;
  if (standing.length >= BREAKERS_MAX) return null;
  const from = Math.max(at.brokerTimeMs + NOTICE_MS, latest.effective_at);
  const tripped = { organization_id: flood.organizationId, rule_id: flood.ruleId, from, until: from + TRIPPED_MS };
  return {
    ...latest,
    activation_id: at.activationId,
    effective_at: from,
    created_at: at.nowMs,
    principal: 'system:breaker',
    reason: `${flood.matches} matches of ${flood.events} events within 10 s`,
    breakers: [...standing, tripped],
    based_on: latest.activation_id,
  };
}
