import type { Pool } from '@tracehound/postgres';
import type { LogPosition } from '../src/ports.ts';

/** Says that the sink has committed everything of the partition below `offset`. */
export async function setSinkPosition(pool: Pool, { topicId, partition, offset }: LogPosition): Promise<void> {
  await pool.query(
    `INSERT INTO audit.sink_offset (topic_id, kafka_partition, topic, next_offset, owner, rows_total)
     VALUES ($1, $2, 'security.alerts', $3, 'test', $3)
     ON CONFLICT (topic_id, kafka_partition) DO UPDATE
     SET next_offset = greatest(sink_offset.next_offset, excluded.next_offset), rows_total = greatest(sink_offset.next_offset, excluded.next_offset)`,
    [topicId, partition, offset],
  );
}

let rows = 0n;

/** A row as the sink writes it, as far as the alerter can see. */
export async function insertAuditRow(
  pool: Pool,
  row: {
    readonly kind: 'event' | 'alert';
    readonly organization: string;
    readonly key: string;
    readonly atMs: number;
    readonly position?: LogPosition;
    readonly payload?: Buffer;
    readonly eventId?: string;
    readonly alertId?: string;
    readonly receivedAtMs?: number;
    readonly traceId?: string | null;
    readonly spanId?: string | null;
  },
): Promise<void> {
  rows += 1n;
  await pool.query(
    `INSERT INTO audit.event (recorded_at, event_time, received_at, topic_id, alert_id, kafka_offset, kafka_partition, schema_id,
       projection_rev, projection_flags, severity, is_duplicate, retention_class, kind, topic, record_key, organization_id,
       event_id, event_type, outcome, actor_type, actor_id, trace_id, span_id, platform, service, attrs, payload)
     VALUES (now(), $1, $11, $2, $3, $4, $5, 1, 1, 0, 4, false, 'long', $6, 'security.x', $7, $8, $9, 'auth.mfa.failed', 'failure',
       'user', 'u-1', $12, $13, 'rust-cli', 'auth', '{}', $10)`,
    [
      new Date(row.atMs),
      row.position?.topicId ?? '00000000-0000-4000-8000-000000000001',
      row.alertId ?? null,
      row.position?.offset ?? rows,
      row.position?.partition ?? 0,
      row.kind,
      row.key,
      row.organization,
      row.eventId ?? null,
      row.payload ?? Buffer.from('x'),
      new Date(row.receivedAtMs ?? row.atMs),
      row.traceId === undefined ? 't' : row.traceId,
      row.spanId === undefined ? 's' : row.spanId,
    ],
  );
}
