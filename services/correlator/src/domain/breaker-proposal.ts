import { BREAKERS_MAX } from '@tracehound/correlation';
import { BREAKER_MS_MAX, type RuleActivation } from '@tracehound/event-model';
import type { Activations } from './activations.ts';
import { breakerKey, type Trip } from './breakers.ts';

/** X7 asks for 5 s; the rest is for the way to the broker and its clock. */
const NOTICE_MS = 8_000;

/** How long a tripped rule stays tripped. Then it is heard again, and if nothing has changed it is tripped anew. */
export const TRIPPED_MS: number = BREAKER_MS_MAX;

/**
 * The activations that trip the rule in the organization: a copy of the one in force, and of each that is announced, with one breaker
 * more; to be written in this order. Empty when it is tripped already, or too many others are. `based_on` makes them count only if
 * nobody published in between.
 */
export function breakerProposal(
  activations: Activations,
  trip: Trip,
  at: { readonly brokerTimeMs: number; readonly nowMs: number; readonly newId: () => string },
): readonly RuleActivation[] {
  const newest = activations.newest?.activation;
  if (newest === undefined) return [];
  const standing = newest.breakers.filter(({ until }) => until > at.brokerTimeMs);
  const key = breakerKey(trip.organizationId, trip.ruleId);
  if (standing.some((one) => breakerKey(one.organization_id, one.rule_id) === key)) return [];
  if (standing.length >= BREAKERS_MAX) return [];
  const from = at.brokerTimeMs + NOTICE_MS;
  const tripped = { organization_id: trip.organizationId, rule_id: trip.ruleId, from, until: from + TRIPPED_MS };
  let basedOn = newest.activation_id;
  return activations.from(from).map((activation, index) => {
    const copy: RuleActivation = {
      ...activation,
      activation_id: at.newId(),
      // The first one holds from now on; those that are announced keep their times.
      effective_at: index === 0 ? from : activation.effective_at,
      created_at: at.nowMs,
      principal: 'system:breaker',
      reason: trip.reason,
      breakers: [...standing, tripped],
      based_on: basedOn,
    };
    basedOn = copy.activation_id;
    return copy;
  });
}
