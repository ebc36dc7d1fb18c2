import type { AlertRecord, DeliveryState, DeliveryView, NoticeReason } from '@tracehound/alerting';
import { evidenceIds } from '@tracehound/alerting';
import { classifyPostgresError, type Pool, transaction } from '@tracehound/postgres';
import { alertSummary, alertView, type StoredAlert } from '../domain/alert-view.ts';
import type { AlertStore, OrganizationScope } from '../ports.ts';
import { postgresOutbox } from './postgres-outbox.ts';
import {
  type AlertRow,
  alertState,
  hexOf,
  isAlertId,
  postgresTransaction,
  SELECT_ALERT,
} from './postgres-transaction.ts';

/** `AlertStore` on PostgreSQL, schema `alerting`. Errors of the server are `PostgresError`s. */
export function createPostgresStore(pool: Pool): AlertStore {
  return {
    ...postgresOutbox(pool),
    transaction: (work) => transaction(pool, (client) => work(postgresTransaction(client))),

    async acquirePartition({ topicId, topic, partition }, owner) {
      return guarded(async () => {
        const { rows } = await pool.query<{ next_offset: bigint | null; fence: bigint }>(
          `INSERT INTO alerting.consumed_offset (topic_id, kafka_partition, topic, owner) VALUES ($1, $2, $3, $4)
           ON CONFLICT (topic_id, kafka_partition)
           DO UPDATE SET fence = consumed_offset.fence + 1, owner = excluded.owner, updated_at = now()
           RETURNING next_offset, fence`,
          [topicId, partition, topic, owner],
        );
        const row = rows[0];
        return { nextOffset: row?.next_offset ?? null, fence: row?.fence ?? 0n };
      });
    },

    listAlerts: ({ organizations, limit }) =>
      guarded(async () => {
        const { rows } = await pool.query<StoredRow>(
          `${SELECT_STORED} WHERE ($1::text[] IS NULL OR a.organization_id = ANY($1)) GROUP BY a.alert_id
           ORDER BY a.opened_at_ms DESC, a.alert_id LIMIT $2`,
          [organizations, limit],
        );
        return rows.map((row) => alertSummary(storedAlert(row)));
      }),

    getAlert: (id, organizations, linkBase) =>
      guarded(async () => {
        if (!isAlertId(id)) return null;
        const { rows } = await pool.query<StoredRow>(
          `${SELECT_STORED} WHERE a.alert_id = (SELECT alert_id FROM alerting.alert_member WHERE member_id = $1)
             AND ($2::text[] IS NULL OR a.organization_id = ANY($2)) GROUP BY a.alert_id`,
          [id, organizations],
        );
        if (!rows[0]) return null;
        const stored = storedAlert(rows[0]);
        const deliveries = await listDeliveries(pool, { organizations, limit: 1_000, alertId: stored.state.alertId });
        const evidence = await transaction(pool, (client) =>
          postgresTransaction(client).auditedEvents(stored.state.organization, evidenceIds(stored.record)),
        );
        return alertView(stored, { evidence, deliveries: deliveries.toReversed(), linkBase });
      }),

    listDeliveries: (query) => guarded(() => listDeliveries(pool, query)),

    clockMs: () =>
      guarded(async () => {
        const { rows } = await pool.query<{ now_ms: bigint }>(
          'SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now_ms',
        );
        return Number(rows[0]?.now_ms); // A select without a table gives one row.
      }),

    counts: (nowMs) =>
      guarded(async () => {
        const { rows } = await pool.query<
          Record<'pending' | 'dead' | 'in_doubt' | 'parked', bigint> & { oldest: bigint | null }
        >(
          `SELECT count(*) FILTER (WHERE state IN ('pending', 'sending', 'failed')) AS pending,
             count(*) FILTER (WHERE state = 'dead') AS dead, count(*) FILTER (WHERE state = 'in_doubt') AS in_doubt,
             min(created_at_ms) FILTER (WHERE state IN ('pending', 'sending', 'failed')) AS oldest,
             (SELECT count(*) FROM alerting.parked) AS parked
           FROM alerting.outbox WHERE state <> 'sent'`,
        );
        const row = rows[0];
        const oldest = row?.oldest ?? null;
        return {
          outboxPending: Number(row?.pending ?? 0),
          outboxDead: Number(row?.dead ?? 0),
          outboxInDoubt: Number(row?.in_doubt ?? 0),
          parked: Number(row?.parked ?? 0),
          oldestPendingAgeMs: oldest === null ? 0 : Math.max(0, nowMs - Number(oldest)),
        };
      }),
  };
}

async function guarded<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw classifyPostgresError(error);
  }
}

const SELECT_STORED = SELECT_ALERT.replace('a.told_count,', 'a.told_count, a.record, a.fired_at_ms,');

type StoredRow = AlertRow & { readonly record: AlertRecord; readonly fired_at_ms: bigint };

function storedAlert(row: StoredRow): StoredAlert {
  return { state: alertState(row), record: row.record, firedAtMs: Number(row.fired_at_ms) };
}

async function listDeliveries(
  pool: Pool,
  query: { readonly organizations: OrganizationScope; readonly limit: number; readonly alertId: string | null },
): Promise<readonly DeliveryView[]> {
  const { rows } = await pool.query<DeliveryRow>(
    `SELECT o.delivery_id, o.alert_id, o.organization_id, o.receiver, o.channel, n.reason, n.thin, o.state, o.attempts,
       o.http_status, o.error_code, o.created_at_ms, o.settled_at_ms, n.content #>> '{details,acknowledged_at}' AS acknowledged_at
     FROM alerting.outbox o JOIN alerting.notice n USING (notice_id)
     WHERE ($1::text[] IS NULL OR o.organization_id = ANY($1)) AND ($2::uuid IS NULL OR o.alert_id = $2)
     ORDER BY o.sequence DESC LIMIT $3`,
    [query.organizations, query.alertId, query.limit],
  );
  return rows.map((row) => {
    const deliveredAt = row.state === 'sent' && row.settled_at_ms !== null ? Number(row.settled_at_ms) : null;
    return {
      delivery_id: row.delivery_id,
      alert_id: hexOf(row.alert_id),
      organization_id: row.organization_id,
      receiver: row.receiver,
      channel: row.channel,
      reason: row.reason,
      thin: row.thin,
      state: row.state,
      attempts: row.attempts,
      http_status: row.http_status,
      error_code: row.error_code,
      created_at: Number(row.created_at_ms),
      delivered_at: deliveredAt,
      after_ack_ms:
        deliveredAt === null || row.acknowledged_at === null ? null : deliveredAt - Number(row.acknowledged_at),
    };
  });
}

type DeliveryRow = {
  readonly delivery_id: string;
  readonly alert_id: string;
  readonly organization_id: string;
  readonly receiver: string;
  readonly channel: string;
  readonly reason: NoticeReason | 'completed';
  readonly thin: boolean;
  readonly state: DeliveryState;
  readonly attempts: number;
  readonly http_status: number | null;
  readonly error_code: string | null;
  readonly created_at_ms: bigint;
  readonly settled_at_ms: bigint | null;
  readonly acknowledged_at: string | null;
};
