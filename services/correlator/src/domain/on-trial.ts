import type { RuleRef } from '@tracehound/event-model';

/**
 * Sigma's `status: experimental`: the rule runs in full, what it says goes to security.shadow and to nobody else. The status is no
 * part of a rule's meaning, so a rule that leaves its trial keeps its windows; hits it gives to outer rules are never on trial.
 */
export function isOnTrial({ status }: Pick<RuleRef, 'status'>): boolean {
  return status === 'experimental';
}
