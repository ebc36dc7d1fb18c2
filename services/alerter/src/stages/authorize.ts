import { drop, ok, type Verdict } from '@tracehound/event-model';
import type { IntegrityViolation } from '../domain/facts.ts';
import { integrityFact } from '../domain/facts.ts';
import type { AlertTransaction } from '../ports.ts';
import type { RefetchedAlert } from './refetch.ts';

export type AuthorizeReason = 'integrity_violation';

/**
 * Third stop: the audited row must be the record we consumed, of the organization it claims, and so must its events
 * . Anything else is an integrity event: audited, counted, told to nobody by a notice.
 */
export function createAuthorizeStage(deps: {
  readonly tx: AlertTransaction;
  readonly nowMs: number;
  readonly principal: string;
  readonly onViolation: (violation: IntegrityViolation, alert: RefetchedAlert) => void;
}) {
  return async function authorize(alert: RefetchedAlert): Promise<Verdict<RefetchedAlert, AuthorizeReason>> {
    const violation = findViolation(alert);
    if (violation === null) return ok(alert);
    deps.onViolation(violation, alert);
    await deps.tx.saveFact(
      integrityFact({ record: alert.record, violation, atMs: deps.nowMs, principal: deps.principal }),
    );
    return drop('integrity_violation');
  };
}

function findViolation({ refetched, record, value }: RefetchedAlert): IntegrityViolation | null {
  switch (refetched.kind) {
    case 'late':
      return null;
    case 'absent':
      return 'audit_row_absent';
    case 'audited':
      if (refetched.row.organizationId !== record.organization_id) return 'organization_differs';
      if (!refetched.row.payload.equals(value)) return 'content_differs';
      return refetched.evidence.some((event) => event.organization_id !== record.organization_id)
        ? 'evidence_organization_differs'
        : null;
  }
}
