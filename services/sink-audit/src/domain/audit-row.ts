import type { RetentionClass } from '@tracehound/event-model';

/** What sort of record a row holds; decided by the topic it was read from. */
export type RecordKind = 'event' | 'late' | 'finding' | 'alert' | 'lifecycle' | 'delivery' | 'rules';

/** A partition of one life of a topic. The id changes when a topic is deleted and made again (X5). */
export type PartitionId = {
  readonly topicId: string;
  /** Without the namespace. */
  readonly topic: string;
  readonly partition: number;
};

/** Where in the log a row comes from, and the bytes found there. */
export type Origin = {
  readonly offset: bigint;
  /** Append time of the broker (X1). */
  readonly recordedAtMs: number;
  /** Registry id of the writer's schema (X15). */
  readonly schemaId: number;
  /** The record value exactly as stored in Kafka, frame included: what a proof hashes. */
  readonly payload: Buffer;
};

/**
 * The searchable columns of a record. A pure function of the record, `PROJECTION_REV` and the event catalogue; texts
 * are free of NUL and lone surrogates and short enough for an index.
 */
export type Projection = {
  readonly kind: RecordKind;
  readonly retentionClass: RetentionClass;
  /** Identity within the kind: event id, alert id and revision, … Equal keys in one partition are copies (X6). */
  readonly recordKey: string;
  /** Organization of the record key; `platform` for none (X13). */
  readonly organizationId: string;
  readonly subjectOrganizationId: string | null;
  readonly eventId: string | null;
  readonly eventType: string | null;
  readonly family: string | null;
  readonly category: string | null;
  /** OCSF severity_id, 0 (unknown) to 6 (fatal). */
  readonly severity: number;
  readonly outcome: 'success' | 'failure' | 'unknown' | null;
  readonly action: string | null;
  readonly actorType: string | null;
  readonly actorId: string | null;
  readonly subjectType: string | null;
  readonly subjectId: string | null;
  readonly ipHash: string | null;
  readonly traceId: string | null;
  readonly spanId: string | null;
  readonly sessionId: string | null;
  readonly requestId: string | null;
  readonly platform: string | null;
  readonly service: string | null;
  readonly ruleId: string | null;
  readonly errorCode: string | null;
  /** UUID text. */
  readonly alertId: string | null;
  readonly revision: number | null;
  readonly eventTimeMs: number | null;
  readonly occurredAtMs: number | null;
  readonly receivedAtMs: number | null;
  /** UUID text; with partition and offset the record a finding or late event speaks of. */
  readonly srcTopicId: string | null;
  readonly srcPartition: number | null;
  readonly srcOffset: number | null;
  /** JSON text that PostgreSQL accepts as jsonb. */
  readonly attrs: string;
  /** Sum of `PROJECTION_FLAGS`. */
  readonly projectionFlags: number;
};

/** A row before the store has looked for earlier copies. */
export type AuditRow = { readonly origin: Origin; readonly projection: Projection };

/** Grows whenever the same record would give other columns; stored with each row (X15). */
export const PROJECTION_REV = 1;

/** What the projection had to change so that PostgreSQL takes the text; the stored bytes are untouched. */
export const PROJECTION_FLAGS = { nulReplaced: 1, surrogateReplaced: 2, textCut: 4, timeClamped: 8 } as const;
