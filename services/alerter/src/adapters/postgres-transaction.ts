import type { AlertMember, AlertState, AlertStatus, EvidenceEvent, Severity } from '@tracehound/alerting';
import type { PoolClient } from '@tracehound/postgres';
import type {
  AlertTransaction,
  DirectDelivery,
  NewDelivery,
  OutgoingFact,
  ParkedAlert,
  ParkedState,
} from '../ports.ts';

/** PostgreSQL prints UUIDs with hyphens; alert ids are 32 hexadecimal digits everywhere else. */
export function hexOf(uuid: string): string {
  return uuid.replaceAll('-', '');
}

export function isAlertId(text: string): boolean {
  return /^[0-9a-f]{32}$/.test(text);
}

/** `AlertTransaction` on one connection inside BEGIN and COMMIT. */
export function postgresTransaction(client: PoolClient): AlertTransaction {
  return {
    async advance({ topicId, partition, fence, from, to }) {
      const { rowCount } = await client.query(
        `UPDATE alerting.consumed_offset SET next_offset = $5, updated_at = now()
         WHERE topic_id = $1 AND kafka_partition = $2 AND fence = $3 AND next_offset IS NOT DISTINCT FROM $4`,
        [topicId, partition, fence, from, to],
      );
      return rowCount === 1;
    },

    async sinkPosition(topicId, partition) {
      const { rows } = await client.query<{ position: bigint | null }>(
        'SELECT audit.sink_position($1, $2) AS position',
        [topicId, partition],
      );
      return rows[0]?.position ?? null;
    },

    async auditedAlert({ topicId, partition, offset }) {
      const { rows } = await client.query<{ organization_id: string; payload: Buffer }>(
        'SELECT organization_id, payload FROM audit.alert_record($1, $2, $3)',
        [topicId, partition, offset],
      );
      const row = rows[0];
      return row ? { organizationId: row.organization_id, payload: row.payload } : null;
    },

    async auditedEvents(organization, ids) {
      const { rows } = await client.query<EventRow>(
        `SELECT e.event_id, e.organization_id, e.event_type, e.outcome, e.platform, e.service, e.actor_type, e.actor_id,
           e.trace_id, e.span_id, e.event_time, e.received_at, e.recorded_at
         FROM unnest($2::text[]) AS wanted(id) CROSS JOIN LATERAL audit.get_event($1, wanted.id) AS e`,
        [organization, ids],
      );
      return rows.map(evidenceEvent);
    },

    async park(alert) {
      await client.query(
        `INSERT INTO alerting.parked (topic_id, kafka_partition, kafka_offset, topic, record_key, value, append_time_ms, state, deadline_ms, next_check_ms)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         ON CONFLICT (topic_id, kafka_partition, kafka_offset)
         DO UPDATE SET state = excluded.state, next_check_ms = excluded.next_check_ms`,
        [
          alert.position.topicId,
          alert.position.partition,
          alert.position.offset,
          alert.position.topic,
          alert.key,
          alert.value,
          alert.firedAtMs,
          alert.state,
          alert.deadlineMs,
          alert.nextCheckMs,
        ],
      );
    },

    async unpark({ topicId, partition, offset }) {
      await client.query(
        'DELETE FROM alerting.parked WHERE topic_id = $1 AND kafka_partition = $2 AND kafka_offset = $3',
        [topicId, partition, offset],
      );
    },

    async claimParked({ nowMs, limit }) {
      const { rows } = await client.query<ParkedRow>(
        `SELECT * FROM alerting.parked WHERE next_check_ms <= $1
         ORDER BY topic_id, kafka_partition, kafka_offset LIMIT $2 FOR UPDATE SKIP LOCKED`,
        [nowMs, limit],
      );
      return rows.map(parkedAlert);
    },

    async lockSlot({ organization, key, nowMs }) {
      await client.query(
        `INSERT INTO alerting.suppression_slot VALUES ($1, $2, $3)
         ON CONFLICT (organization_id, suppression_key) DO UPDATE SET touched_at_ms = excluded.touched_at_ms`,
        [organization, key, nowMs],
      );
      const { rows } = await client.query<AlertRow>(
        `${SELECT_ALERT} WHERE a.organization_id = $1 AND a.suppression_key = $2 AND a.holds_slot ${GROUP_ALERT}`,
        [organization, key],
      );
      return rows[0] ? alertState(rows[0]) : null;
    },

    async alertsOf(ids) {
      const { rows } = await client.query<AlertRow>(
        `${SELECT_ALERT} WHERE a.alert_id IN (SELECT alert_id FROM alerting.alert_member WHERE member_id = ANY($1::uuid[])) ${GROUP_ALERT}`,
        [ids],
      );
      const wanted = new Set(ids);
      const found = new Map<string, AlertState>();
      for (const alert of rows.map(alertState)) {
        for (const { alertId } of alert.members) if (wanted.has(alertId)) found.set(alertId, alert);
      }
      return found;
    },

    async saveAlert({ alert, holdsSlot, record, firedAtMs, nowMs }) {
      if (holdsSlot) {
        await client.query(
          `UPDATE alerting.alert SET holds_slot = false
           WHERE organization_id = $1 AND suppression_key = $2 AND holds_slot AND alert_id <> $3`,
          [alert.organization, alert.suppressionKey, alert.alertId],
        );
      }
      await client.query(
        `INSERT INTO alerting.alert (alert_id, organization_id, suppression_key, holds_slot, status, severity, first_at_ms,
           last_at_ms, told_severity, told_count, rule_id, title, record, record_revision, fired_at_ms, opened_at_ms, updated_at_ms)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $16)
         ON CONFLICT (alert_id) DO UPDATE SET holds_slot = excluded.holds_slot, status = excluded.status,
           severity = excluded.severity, first_at_ms = excluded.first_at_ms, last_at_ms = excluded.last_at_ms,
           told_severity = excluded.told_severity, told_count = excluded.told_count, title = excluded.title,
           record = excluded.record, record_revision = excluded.record_revision, updated_at_ms = excluded.updated_at_ms`,
        [
          alert.alertId,
          alert.organization,
          alert.suppressionKey,
          holdsSlot,
          alert.status,
          alert.severity,
          alert.firstAtMs,
          alert.lastAtMs,
          alert.toldSeverity,
          alert.toldCount,
          record.rule.rule_id,
          record.rule.title,
          JSON.stringify(record),
          record.revision,
          firedAtMs,
          nowMs,
        ],
      );
      await saveMembers(client, alert);
    },

    saveNotice: (notice, deliveries, nowMs) => saveNotice(client, { notice, deliveries, nowMs, state: 'pending' }),

    async saveDirectDelivery(direct, fact) {
      await saveNotice(client, {
        notice: direct.notice,
        deliveries: [direct.delivery],
        nowMs: direct.startedAtMs,
        state: 'sent',
      });
      if (await saveDirectAttempt(client, direct)) await saveFact(client, fact);
    },

    saveFact: (fact) => saveFact(client, fact),
  };
}

/** For `security.deliveries` and `security.alert-lifecycle`: durable with what it tells of, sent afterwards. */
export async function saveFact(client: PoolClient, fact: OutgoingFact): Promise<void> {
  await client.query('INSERT INTO alerting.record_outbox (topic, record_key, value) VALUES ($1, $2, $3)', [
    fact.topic,
    `${fact.value.organization_id}|${fact.value.alert_id}`,
    JSON.stringify(fact.value),
  ]);
}

async function saveMembers(client: PoolClient, alert: AlertState): Promise<void> {
  const members = alert.members;
  await client.query(
    `INSERT INTO alerting.alert_member (member_id, alert_id, revision, count, count_exact, first_at_ms, last_at_ms, has_ended, superseded_by)
     SELECT id, $1, revision, count, count_exact, first_at_ms, last_at_ms, has_ended, superseded_by
     FROM unnest($2::uuid[], $3::bigint[], $4::bigint[], $5::boolean[], $6::bigint[], $7::bigint[], $8::boolean[], $9::uuid[])
       AS m(id, revision, count, count_exact, first_at_ms, last_at_ms, has_ended, superseded_by)
     ON CONFLICT (member_id) DO UPDATE SET revision = excluded.revision, count = excluded.count,
       count_exact = excluded.count_exact, first_at_ms = excluded.first_at_ms, last_at_ms = excluded.last_at_ms,
       has_ended = excluded.has_ended, superseded_by = excluded.superseded_by
     WHERE alert_member.revision <= excluded.revision AND alert_member.alert_id = excluded.alert_id`,
    [
      alert.alertId,
      members.map((member) => member.alertId),
      members.map((member) => member.revision),
      members.map((member) => member.count),
      members.map((member) => member.countExact),
      members.map((member) => member.firstAtMs),
      members.map((member) => member.lastAtMs),
      members.map((member) => member.hasEnded),
      members.map((member) => member.supersededBy),
    ],
  );
}

async function saveNotice(
  client: PoolClient,
  saved: {
    readonly notice: DirectDelivery['notice'];
    readonly deliveries: readonly NewDelivery[];
    readonly nowMs: number;
    readonly state: 'pending' | 'sent';
  },
): Promise<void> {
  const { notice, deliveries, nowMs, state } = saved;
  await client.query(
    `INSERT INTO alerting.notice (notice_id, alert_id, organization_id, reason, severity, thin, content, created_at_ms)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (notice_id) DO NOTHING`,
    [
      notice.notice_id,
      notice.alert_id,
      notice.organization_id,
      notice.reason,
      notice.severity,
      notice.thin,
      JSON.stringify(notice),
      nowMs,
    ],
  );
  for (const delivery of deliveries) {
    await client.query(
      `INSERT INTO alerting.notice_group (group_id, organization_id, receiver, next_flush_at_ms) VALUES ($1, $2, $3, $4)
       ON CONFLICT (group_id) DO UPDATE
       SET next_flush_at_ms = least(notice_group.next_flush_at_ms, excluded.next_flush_at_ms)`,
      [delivery.groupId, notice.organization_id, delivery.receiver, state === 'pending' ? nowMs : null],
    );
    await client.query(
      `INSERT INTO alerting.outbox (delivery_id, group_id, notice_id, alert_id, organization_id, receiver, channel, state, next_attempt_at_ms, created_at_ms)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9) ON CONFLICT (delivery_id) DO NOTHING`,
      [
        delivery.deliveryId,
        delivery.groupId,
        notice.notice_id,
        notice.alert_id,
        notice.organization_id,
        delivery.receiver,
        delivery.channel,
        state,
        nowMs,
      ],
    );
  }
}

/** False when this delivery is recorded already. */
async function saveDirectAttempt(client: PoolClient, direct: DirectDelivery): Promise<boolean> {
  const { rowCount } = await client.query(
    `INSERT INTO alerting.delivery_attempt (delivery_id, attempt, status, started_at_ms, ended_at_ms, http_status, response_sha256)
     VALUES ($1, 1, 'SENT', $2, $3, $4, $5) ON CONFLICT DO NOTHING`,
    [direct.delivery.deliveryId, direct.startedAtMs, direct.endedAtMs, direct.httpStatus, direct.responseSha256],
  );
  if (rowCount === 0) return false;
  await client.query(
    `UPDATE alerting.outbox SET state = 'sent', attempts = 1, http_status = $2, settled_at_ms = $3 WHERE delivery_id = $1`,
    [direct.delivery.deliveryId, direct.httpStatus, direct.endedAtMs],
  );
  return true;
}

export const SELECT_ALERT = `
  SELECT a.alert_id, a.organization_id, a.suppression_key, a.status, a.severity, a.first_at_ms, a.last_at_ms,
    a.told_severity, a.told_count,
    json_agg(json_build_object('alertId', replace(m.member_id::text, '-', ''), 'revision', m.revision, 'count', m.count,
      'countExact', m.count_exact, 'firstAtMs', m.first_at_ms, 'lastAtMs', m.last_at_ms, 'hasEnded', m.has_ended,
      'supersededBy', replace(m.superseded_by::text, '-', '')) ORDER BY m.first_at_ms, m.member_id) AS members
  FROM alerting.alert a JOIN alerting.alert_member m USING (alert_id)`;
const GROUP_ALERT = 'GROUP BY a.alert_id';

export type AlertRow = {
  readonly alert_id: string;
  readonly organization_id: string;
  readonly suppression_key: string;
  readonly status: AlertStatus;
  readonly severity: Severity;
  readonly first_at_ms: bigint;
  readonly last_at_ms: bigint;
  readonly told_severity: Severity;
  readonly told_count: bigint;
  readonly members: readonly AlertMember[];
};

export function alertState(row: AlertRow): AlertState {
  return {
    alertId: hexOf(row.alert_id),
    organization: row.organization_id,
    suppressionKey: row.suppression_key,
    status: row.status,
    severity: row.severity,
    firstAtMs: Number(row.first_at_ms),
    lastAtMs: Number(row.last_at_ms),
    toldSeverity: row.told_severity,
    toldCount: Number(row.told_count),
    members: row.members,
  };
}

type EventRow = {
  readonly event_id: string;
  readonly organization_id: string;
  readonly event_type: string | null;
  readonly outcome: string | null;
  readonly platform: string | null;
  readonly service: string | null;
  readonly actor_type: string | null;
  readonly actor_id: string | null;
  readonly trace_id: string | null;
  readonly span_id: string | null;
  readonly event_time: Date | null;
  readonly received_at: Date | null;
  readonly recorded_at: Date;
};

export function evidenceEvent(row: EventRow): EvidenceEvent {
  return {
    event_id: row.event_id,
    organization_id: row.organization_id,
    at: (row.event_time ?? row.recorded_at).getTime(),
    received_at: (row.received_at ?? row.recorded_at).getTime(),
    platform: row.platform ?? 'unknown',
    service: row.service,
    event_type: row.event_type ?? 'unknown',
    outcome: (row.outcome ?? 'unknown').toUpperCase(),
    actor: row.actor_id === null ? null : { type: row.actor_type ?? 'unknown', id: row.actor_id },
    trace_id: row.trace_id,
    span_id: row.span_id,
  };
}

type ParkedRow = {
  readonly topic_id: string;
  readonly kafka_partition: number;
  readonly kafka_offset: bigint;
  readonly topic: string;
  readonly record_key: Buffer | null;
  readonly value: Buffer;
  readonly append_time_ms: bigint;
  readonly state: ParkedState;
  readonly deadline_ms: bigint;
  readonly next_check_ms: bigint;
};

function parkedAlert(row: ParkedRow): ParkedAlert {
  return {
    position: { topicId: row.topic_id, topic: row.topic, partition: row.kafka_partition, offset: row.kafka_offset },
    key: row.record_key,
    value: row.value,
    firedAtMs: Number(row.append_time_ms),
    parked: { state: row.state },
    state: row.state,
    deadlineMs: Number(row.deadline_ms),
    nextCheckMs: Number(row.next_check_ms),
    toldDirectly: false,
  };
}
