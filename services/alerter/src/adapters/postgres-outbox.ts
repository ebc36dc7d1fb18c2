import { type DeliveryErrorCode, decideInDoubt, type Notice } from '@tracehound/alerting';
import { type Pool, type PoolClient, transaction } from '@tracehound/postgres';
import { type AttemptStatus, deliveryFact } from '../domain/facts.ts';
import type { AlertStore, ClaimedDelivery, DeliveryOutcome, OutgoingFact } from '../ports.ts';
import { saveFact } from './postgres-transaction.ts';

type Claim = Parameters<AlertStore['claimDeliveries']>[0];

/** Groups leased in one go: each costs one attempt, and the capacity of the receivers bounds them first. */
const GROUPS_MAX = 100;

/** Leases, attempts and outcomes of the outbox. */
export function postgresOutbox(
  pool: Pool,
): Pick<AlertStore, 'claimDeliveries' | 'recordDelivery' | 'publishFacts' | 'redrive'> {
  return {
    claimDeliveries: (claim) => transaction(pool, (client) => claimDeliveries(client, claim)),
    recordDelivery: (delivery, outcome, owner) =>
      transaction(pool, (client) => recordDelivery(client, { delivery, outcome, owner })),

    publishFacts: (limit, publish) =>
      transaction(pool, async (client) => {
        const { rows } = await client.query<{
          sequence: bigint;
          topic: OutgoingFact['topic'];
          value: OutgoingFact['value'];
        }>(
          'SELECT sequence, topic, value FROM alerting.record_outbox ORDER BY sequence LIMIT $1 FOR UPDATE SKIP LOCKED',
          [limit],
        );
        if (rows.length === 0) return 0;
        // The pair was written together by `saveFact`.
        await publish(rows.map(({ topic, value }) => ({ topic, value }) as OutgoingFact));
        await client.query('DELETE FROM alerting.record_outbox WHERE sequence = ANY($1)', [
          rows.map((row) => row.sequence),
        ]);
        return rows.length;
      }),

    async redrive(deliveryId, nowMs) {
      const { rows } = await pool.query<{ done: boolean }>('SELECT alerting.redrive($1, $2) AS done', [
        deliveryId,
        nowMs,
      ]);
      return rows[0]?.done ?? false;
    },
  };
}

async function claimDeliveries(client: PoolClient, claim: Claim): Promise<readonly ClaimedDelivery[]> {
  const { rows: disabledRows } = await client.query<{ receiver: string }>(
    'SELECT receiver FROM alerting.disabled_receiver',
  );
  const disabled = new Set(disabledRows.map((row) => row.receiver));
  const groups = await leaseGroups(client, claim);
  if (groups.size === 0) return [];

  const claimed: ClaimedDelivery[] = [];
  const settled: string[] = [];
  const { rows } = await client.query<OutboxRow>(
    `SELECT DISTINCT ON (o.group_id) o.delivery_id, o.group_id, o.receiver, o.channel, o.state, o.attempts,
       o.attempts_base, n.content
     FROM alerting.outbox o JOIN alerting.notice n USING (notice_id)
     WHERE o.group_id = ANY($1) AND o.state IN ('pending', 'sending', 'failed') AND o.next_attempt_at_ms <= $2
     ORDER BY o.group_id, o.sequence`,
    [[...groups.keys()], claim.nowMs],
  );
  for (const row of rows) {
    const epoch = groups.get(row.group_id) ?? 0n;
    const receiver = claim.receivers.get(row.receiver);
    // Found `sending` under an expired lease: its owner died between the attempt and its record.
    if (row.state === 'sending') await endInDoubt(client, row, claim);
    if (!receiver || disabled.has(row.receiver)) {
      await bury(client, row, { errorCode: receiver ? 'receiver_disabled' : 'receiver_unknown', atMs: claim.nowMs });
      settled.push(row.group_id);
    } else if (row.state === 'sending' && decideInDoubt(receiver, row.content.severity, claim.inDoubt) === 'hold') {
      await hold(client, row, claim.nowMs);
      settled.push(row.group_id);
    } else {
      claimed.push(await startAttempt(client, row, { epoch, claim }));
    }
  }
  const busy = new Set(claimed.map((delivery) => delivery.groupId));
  for (const [groupId, epoch] of groups) if (!busy.has(groupId)) await releaseGroup(client, groupId, epoch);
  return claimed;
}

/** New epochs for due groups whose lease is free or over; groups another process is looking at are skipped. */
async function leaseGroups(client: PoolClient, claim: Claim): Promise<ReadonlyMap<string, bigint>> {
  const known = [...claim.receivers.keys()];
  const { rows } = await client.query<{ group_id: string; epoch: bigint }>(
    `WITH ranked AS (
       SELECT g.group_id, g.next_flush_at_ms,
         row_number() OVER (PARTITION BY g.receiver ORDER BY g.next_flush_at_ms) AS place, c.free
       FROM alerting.notice_group g LEFT JOIN unnest($3::text[], $4::int[]) AS c(receiver, free) USING (receiver)
       WHERE g.next_flush_at_ms <= $1 AND g.leased_until_ms <= $1 AND g.group_id <> ALL($8::text[])
         AND (c.free > 0 OR g.receiver <> ALL($5::text[]))
     ), due AS (
       SELECT g.group_id FROM alerting.notice_group g JOIN ranked r USING (group_id)
       WHERE (r.free IS NULL OR r.place <= r.free) AND g.next_flush_at_ms <= $1 AND g.leased_until_ms <= $1
       ORDER BY r.next_flush_at_ms LIMIT $6 FOR UPDATE OF g SKIP LOCKED
     )
     UPDATE alerting.notice_group g SET owner = $2, epoch = g.epoch + 1, leased_until_ms = $1 + $7
     FROM due WHERE g.group_id = due.group_id RETURNING g.group_id, g.epoch`,
    [
      claim.nowMs,
      claim.owner,
      [...claim.capacity.keys()],
      [...claim.capacity.values()],
      known,
      GROUPS_MAX,
      claim.leaseMs,
      [...claim.underWay],
    ],
  );
  return new Map(rows.map((row) => [row.group_id, row.epoch]));
}

async function startAttempt(
  client: PoolClient,
  row: OutboxRow,
  lease: { readonly epoch: bigint; readonly claim: Claim },
): Promise<ClaimedDelivery> {
  const { claim, epoch } = lease;
  const attempt = row.attempts + 1;
  await client.query(
    `UPDATE alerting.outbox SET state = 'sending', attempts = $2, lease_owner = $3, lease_epoch = $4 WHERE delivery_id = $1`,
    [row.delivery_id, attempt, claim.owner, epoch],
  );
  await client.query(
    `INSERT INTO alerting.delivery_attempt (delivery_id, attempt, status, started_at_ms) VALUES ($1, $2, 'SENDING', $3)`,
    [row.delivery_id, attempt, claim.nowMs],
  );
  return {
    deliveryId: row.delivery_id,
    groupId: row.group_id,
    receiver: row.receiver,
    channel: row.channel,
    notice: row.content,
    attempt,
    scheduleAttempt: attempt - row.attempts_base,
    epoch,
    startedAtMs: claim.nowMs,
  };
}

async function endInDoubt(client: PoolClient, row: OutboxRow, claim: Claim): Promise<void> {
  const { rows } = await client.query<{ started_at_ms: bigint }>(
    `UPDATE alerting.delivery_attempt SET status = 'IN_DOUBT', ended_at_ms = $3
     WHERE delivery_id = $1 AND attempt = $2 AND ended_at_ms IS NULL RETURNING started_at_ms`,
    [row.delivery_id, row.attempts, claim.nowMs],
  );
  if (!rows[0]) return;
  await saveFact(
    client,
    factOf(row, {
      status: 'IN_DOUBT',
      attempt: row.attempts,
      startedAtMs: Number(rows[0].started_at_ms),
      outcome: { httpStatus: null, responseSha256: null, endedAtMs: claim.nowMs, errorCode: null },
    }),
  );
}

async function hold(client: PoolClient, row: OutboxRow, atMs: number): Promise<void> {
  await client.query(
    `UPDATE alerting.outbox SET state = 'in_doubt', error_code = 'in_doubt_held', settled_at_ms = $2 WHERE delivery_id = $1`,
    [row.delivery_id, atMs],
  );
}

/** Ends a delivery without an attempt: its receiver is gone. */
async function bury(
  client: PoolClient,
  row: OutboxRow,
  why: { readonly errorCode: DeliveryErrorCode; readonly atMs: number },
): Promise<void> {
  await client.query(
    `UPDATE alerting.outbox SET state = 'dead', error_code = $2, settled_at_ms = $3 WHERE delivery_id = $1`,
    [row.delivery_id, why.errorCode, why.atMs],
  );
  await saveFailure(client, row.delivery_id, why);
  await saveFact(
    client,
    factOf(row, {
      status: 'DEAD',
      attempt: row.attempts,
      startedAtMs: why.atMs,
      outcome: { httpStatus: null, responseSha256: null, endedAtMs: why.atMs, errorCode: why.errorCode },
    }),
  );
}

async function recordDelivery(
  client: PoolClient,
  recorded: { readonly delivery: ClaimedDelivery; readonly outcome: DeliveryOutcome; readonly owner: string },
): Promise<boolean> {
  const { delivery, outcome, owner } = recorded;
  const { rowCount } = await client.query(
    `UPDATE alerting.outbox o SET state = $2, http_status = $3, error_code = $4, lease_owner = NULL,
       next_attempt_at_ms = coalesce($5, o.next_attempt_at_ms), settled_at_ms = CASE WHEN $2 = 'failed' THEN NULL ELSE $6::bigint END
     WHERE o.delivery_id = $1 AND o.state = 'sending' AND o.lease_owner = $7 AND o.lease_epoch = $8 AND o.attempts = $9`,
    [
      delivery.deliveryId,
      outcome.state,
      outcome.httpStatus,
      outcome.errorCode,
      outcome.nextAttemptAtMs,
      outcome.endedAtMs,
      owner,
      delivery.epoch,
      delivery.attempt,
    ],
  );
  if (rowCount === 0) return false;
  const status = ATTEMPT_STATUS[outcome.state];
  await client.query(
    `UPDATE alerting.delivery_attempt SET status = $3, ended_at_ms = $4, http_status = $5, error_code = $6,
       retry_after_ms = $7, response_sha256 = $8 WHERE delivery_id = $1 AND attempt = $2`,
    [
      delivery.deliveryId,
      delivery.attempt,
      status,
      outcome.endedAtMs,
      outcome.httpStatus,
      outcome.errorCode,
      outcome.retryAfterMs,
      outcome.responseSha256,
    ],
  );
  await saveFact(client, deliveryFact({ ...delivery, delivery, status, outcome }));
  if (outcome.state === 'dead') {
    await saveFailure(client, delivery.deliveryId, {
      errorCode: outcome.errorCode ?? 'refused',
      atMs: outcome.endedAtMs,
    });
  }
  if (outcome.disablesReceiver) {
    await client.query(
      `INSERT INTO alerting.disabled_receiver VALUES ($1, 'gone', $2) ON CONFLICT (receiver) DO NOTHING`,
      [delivery.receiver, outcome.endedAtMs],
    );
  }
  await releaseGroup(client, delivery.groupId, delivery.epoch);
  return true;
}

const ATTEMPT_STATUS: Readonly<Record<DeliveryOutcome['state'], AttemptStatus>> = {
  sent: 'SENT',
  failed: 'FAILED',
  dead: 'DEAD',
};

/**
 * Gives a group back, due when its next delivery is. Its row is locked by a statement of its own first: an update that had to
 * wait for it would look for deliveries with the eyes of its start, and miss those that were saved meanwhile (PostgreSQL 18
 * documentation, 13.2.1), so that nobody would ever flush them.
 */
async function releaseGroup(client: PoolClient, groupId: string, epoch: bigint): Promise<void> {
  await client.query('SELECT FROM alerting.notice_group WHERE group_id = $1 FOR UPDATE', [groupId]);
  await client.query(
    `UPDATE alerting.notice_group SET owner = NULL, leased_until_ms = 0, next_flush_at_ms = (
       SELECT min(next_attempt_at_ms) FROM alerting.outbox WHERE group_id = $1 AND state IN ('pending', 'sending', 'failed'))
     WHERE group_id = $1 AND epoch = $2`,
    [groupId, epoch],
  );
}

async function saveFailure(
  client: PoolClient,
  deliveryId: string,
  why: { readonly errorCode: DeliveryErrorCode; readonly atMs: number },
): Promise<void> {
  await client.query(
    `INSERT INTO alerting.alert_delivery_failures (delivery_id, alert_id, organization_id, receiver, channel, attempts,
       http_status, error_code, payload_reference, failed_at_ms)
     SELECT delivery_id, alert_id, organization_id, receiver, channel, attempts, http_status, $2, 'notice:' || notice_id, $3
     FROM alerting.outbox WHERE delivery_id = $1`,
    [deliveryId, why.errorCode, why.atMs],
  );
}

type OutboxRow = {
  readonly delivery_id: string;
  readonly group_id: string;
  readonly receiver: string;
  readonly channel: string;
  readonly state: 'pending' | 'sending' | 'failed';
  readonly attempts: number;
  readonly attempts_base: number;
  readonly content: Notice;
};

function factOf(row: OutboxRow, event: Omit<Parameters<typeof deliveryFact>[0], 'notice' | 'delivery'>): OutgoingFact {
  const delivery = {
    deliveryId: row.delivery_id,
    groupId: row.group_id,
    receiver: row.receiver,
    channel: row.channel,
  };
  return deliveryFact({ ...event, notice: row.content, delivery });
}
