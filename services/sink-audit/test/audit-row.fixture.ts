import { randomUUID } from 'node:crypto';
import type { AuditRow, PartitionId, Projection } from '../src/domain/audit-row.ts';
import type { PartitionDraft } from '../src/ports.ts';

/** 2026-11-10T12:00:00Z: in the middle of a month. */
export const NOON_MS: number = Date.UTC(2026, 10, 10, 12);

export function partitionId(topic = 'security.events', partition = 0): PartitionId {
  return { topicId: randomUUID(), topic, partition };
}

/** A row as the pipeline makes it for a failed login; override what the test is about. */
export function auditRow(
  offset: number,
  overrides: { recordKey?: string; recordedAtMs?: number } & Partial<Projection> = {},
): AuditRow {
  const { recordedAtMs = NOON_MS + offset, ...projection } = overrides;
  const eventId = projection.recordKey ?? `event-${offset}`;
  return {
    origin: { offset: BigInt(offset), recordedAtMs, schemaId: 7, payload: Buffer.from([0, 0, 0, 0, 7, offset & 0xff]) },
    projection: {
      kind: 'event',
      retentionClass: 'long',
      recordKey: eventId,
      organizationId: 'acme',
      subjectOrganizationId: 'acme',
      eventId,
      eventType: 'auth.login.failure',
      family: 'auth',
      category: 'authentication',
      severity: 3,
      outcome: 'failure',
      action: null,
      actorType: 'user',
      actorId: 'u-1',
      subjectType: null,
      subjectId: null,
      ipHash: 'a1',
      traceId: '0af7651916cd43dd8448eb211c80319c',
      spanId: null,
      sessionId: null,
      requestId: null,
      platform: 'python',
      service: null,
      ruleId: null,
      errorCode: null,
      alertId: null,
      revision: null,
      eventTimeMs: NOON_MS,
      occurredAtMs: NOON_MS,
      receivedAtMs: NOON_MS,
      srcTopicId: null,
      srcPartition: null,
      srcOffset: null,
      attrs: '{"payload":{"attempted_user":"root"}}',
      projectionFlags: 0,
      ...projection,
    },
  };
}

/** A draft of consecutive rows that begins at `expected`. */
export function draftOf(
  id: PartitionId,
  at: { fence: bigint; expected: number },
  rows: readonly AuditRow[],
  overrides: Partial<PartitionDraft> = {},
): PartitionDraft {
  return {
    id,
    fence: at.fence,
    expected: BigInt(at.expected),
    next: BigInt(at.expected + rows.length),
    publishedOffset: BigInt(at.expected),
    rows,
    failures: [],
    gaps: [],
    markers: 0,
    ...overrides,
  };
}
