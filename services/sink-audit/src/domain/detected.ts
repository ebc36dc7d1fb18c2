import type { SecurityEventDetected } from '@tracehound/event-model';
import type { AuditRow } from './audit-row.ts';

/** What is needed to decide whether `security.event-detected` is due, from a fresh row or from the store. */
export type DetectedCandidate = {
  readonly offset: bigint;
  readonly eventId: string;
  readonly organizationId: string;
  readonly subjectOrganizationId: string | null;
  readonly eventType: string;
  readonly family: string;
  readonly severity: number;
};

/** The candidate of a row that holds an event and is no copy of an earlier one; else null. */
export function candidateOf(row: AuditRow, firstCopy: bigint | null): DetectedCandidate | null {
  const { kind, eventId, eventType, family, organizationId, subjectOrganizationId, severity } = row.projection;
  if (kind !== 'event' || firstCopy !== null || eventId === null || eventType === null || family === null) return null;
  return { offset: row.origin.offset, eventId, organizationId, subjectOrganizationId, eventType, family, severity };
}

/** R-401 speaks of security events: all of the family `security`, and any other from `severityMin` (0 to 6) on. */
export function isDetected(candidate: DetectedCandidate, severityMin: number): boolean {
  return candidate.family === 'security' || candidate.severity >= severityMin;
}

const SEVERITY_NAMES = ['UNKNOWN', 'INFORMATIONAL', 'LOW', 'MEDIUM', 'HIGH', 'CRITICAL', 'FATAL'] as const;

/** The thin contract: exactly the four keys of R-401. */
export function detectedRecord(candidate: DetectedCandidate): { key: string; value: SecurityEventDetected } {
  return {
    key: `${candidate.organizationId}|${candidate.eventId}`,
    value: {
      event_id: candidate.eventId,
      organization_id: candidate.subjectOrganizationId,
      event_type: candidate.eventType,
      severity: SEVERITY_NAMES[candidate.severity] ?? 'UNKNOWN',
    },
  };
}
