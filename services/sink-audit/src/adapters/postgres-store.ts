import { TracehoundError } from '@tracehound/event-model';
import { faultPoint } from '@tracehound/lifecycle';
import { classifyPostgresError, copyBinary, type Pool, type PoolClient, transaction } from '@tracehound/postgres';
import type { AuditRow, PartitionId } from '../domain/audit-row.ts';
import { missingIn } from '../domain/coverage.ts';
import type { DetectedCandidate } from '../domain/detected.ts';
import { duplicateSinceMs, firstCopies } from '../domain/duplicates.ts';
import { RowRefusedError } from '../errors.ts';
import type { AppendOutcome, AuditStore, PartitionDraft, Position } from '../ports.ts';
import { EVENT_COLUMNS, eventRow } from './row-encoding.ts';

export type PostgresAuditStoreOptions = {
  /** Its role needs what `audit_writer` has. */
  readonly pool: Pool;
  readonly monthsAhead: number;
};

type Swapped = { readonly draft: PartitionDraft; readonly outcome: AppendOutcome | null };

/** SQLSTATE classes that blame the content of a row: data exceptions, constraints, and an index entry too long. */
const CONTENT_STATES = /^(22|23|54)/;
const CHECK_VIOLATION = '23514';

/** `AuditStore` on the schema of `deploy/migrations/0001_audit.sql`. */
export function createPostgresAuditStore({ pool, monthsAhead }: PostgresAuditStoreOptions): AuditStore {
  async function ensureMonth(at: Date | null, ahead: number): Promise<readonly string[]> {
    const { rows } = await query<{ name: string }>(
      'SELECT made AS name FROM audit.ensure_partitions($1, coalesce($2, now())) AS made',
      [ahead, at],
    );
    return rows.map((row) => row.name);
  }

  async function query<R extends object>(text: string, values: readonly unknown[]): Promise<{ rows: R[] }> {
    try {
      return await pool.query<R>(text, [...values]);
    } catch (error) {
      throw classifyPostgresError(error);
    }
  }

  async function appendOnce(drafts: readonly PartitionDraft[]): Promise<readonly AppendOutcome[]> {
    return transaction(pool, async (client) => {
      // Always in one order, so that two owners that meet over several partitions cannot deadlock.
      const ordered = [...drafts].sort((a, b) => (keyOf(a.id) < keyOf(b.id) ? -1 : 1));
      const swapped: Swapped[] = [];
      for (const draft of ordered) swapped.push({ draft, outcome: await swap(client, draft) });
      const ours = swapped.filter(({ outcome }) => outcome === null).map(({ draft }) => draft);
      const copies = await findFirstCopies(client, ours);
      await writeFailures(client, ours);
      await writeGaps(client, ours);
      const rows = ours.flatMap((draft, at) =>
        draft.rows.map((row, index) => eventRow(draft.id, row, copies[at]?.[index] ?? null)),
      );
      if (rows.length > 0) await copyBinary(client, 'audit.event', EVENT_COLUMNS, rows);
      faultPoint('s:after-copy');
      return drafts.map((draft) => {
        const at = ours.indexOf(draft);
        if (at >= 0) return { kind: 'committed' as const, firstCopies: copies[at] ?? [] };
        return swapped.find((entry) => entry.draft === draft)?.outcome ?? { kind: 'fenced' as const };
      });
    });
  }

  return {
    ensurePartitions: () => ensureMonth(null, monthsAhead),

    async acquire(id, owner): Promise<Position> {
      return transaction(pool, async (client) => {
        const taken = await client.query<{
          fence: bigint;
          next_offset: bigint;
          published_offset: bigint;
          fresh: boolean;
        }>(
          `INSERT INTO audit.sink_offset AS o (topic_id, kafka_partition, topic, fence, owner) VALUES ($1, $2, $3, 1, $4)
           ON CONFLICT (topic_id, kafka_partition)
           DO UPDATE SET fence = o.fence + 1, owner = excluded.owner, updated_at = now()
           RETURNING fence, next_offset, published_offset, fence = 1 AS fresh`,
          [id.topicId, id.partition, id.topic, owner],
        );
        const row = taken.rows[0];
        if (!row) throw new Error('an upsert with RETURNING gave no row');
        const previous = row.fresh ? await recordTopicChange(client, id) : null;
        return { fence: row.fence, nextOffset: row.next_offset, publishedOffset: row.published_offset, previous };
      });
    },

    async append(drafts) {
      for (let attempt = 1; ; attempt++) {
        try {
          return await appendOnce(drafts);
        } catch (error) {
          const sqlstate = stateOf(error);
          if (isPartitionMissing(error) && attempt <= 2) {
            for (const month of monthsOf(drafts)) await ensureMonth(month, 0);
            continue;
          }
          if (sqlstate !== null && CONTENT_STATES.test(sqlstate)) throw new RowRefusedError(error, sqlstate);
          throw error;
        }
      }
    },

    async refusedRows(draft) {
      const refused: number[] = [];
      const client = await pool.connect().catch((error: unknown) => {
        throw classifyPostgresError(error);
      });
      try {
        await client.query('BEGIN');
        await bisect(client, draft, { from: 0, until: draft.rows.length }, refused);
        return refused;
      } catch (error) {
        throw classifyPostgresError(error);
      } finally {
        const isClean = await client.query('ROLLBACK').then(
          () => true,
          () => false,
        );
        client.release(!isClean);
      }
    },

    async eventsBetween(id, { from, until }): Promise<readonly DetectedCandidate[]> {
      if (from >= until) return [];
      const { rows } = await query<EventBetween>('SELECT * FROM audit.events_between($1, $2, $3, $4)', [
        id.topicId,
        id.partition,
        from,
        until,
      ]);
      return rows.map((row) => ({
        offset: row.kafka_offset,
        eventId: row.event_id,
        organizationId: row.organization_id,
        subjectOrganizationId: row.subject_organization_id,
        eventType: row.event_type,
        family: row.family,
        severity: row.severity,
      }));
    },

    async markPublished(id, { fence, publishedOffset }) {
      const { rows } = await query<{ fence: bigint }>(
        `UPDATE audit.sink_offset SET published_offset = $4, updated_at = now()
         WHERE topic_id = $1 AND kafka_partition = $2 AND fence = $3 RETURNING fence`,
        [id.topicId, id.partition, fence, publishedOffset],
      );
      return rows.length === 1;
    },

    async ping() {
      const { rows } = await query<{ writable: boolean }>(
        "SELECT NOT pg_is_in_recovery() AND has_table_privilege('audit.event', 'INSERT') AS writable",
        [],
      );
      if (rows[0]?.writable !== true) {
        throw new TracehoundError('audit.event cannot be written', {
          code: 'SEC_SINK_STORE_READ_ONLY',
          category: 'dependency',
          retriable: true,
        });
      }
    },
  };
}

type EventBetween = {
  kafka_offset: bigint;
  event_id: string;
  organization_id: string;
  subject_organization_id: string | null;
  event_type: string;
  family: string;
  severity: number;
};

/** Moves the offset if it is where we believe and the fence is ours; otherwise says which of the two failed. */
async function swap(client: PoolClient, draft: PartitionDraft): Promise<AppendOutcome | null> {
  const { id } = draft;
  const moved = await client.query(
    `UPDATE audit.sink_offset SET next_offset = $5, published_offset = $6, updated_at = now(),
       rows_total = rows_total + $7, failures_total = failures_total + $8, markers_total = markers_total + $9,
       missing_total = missing_total + $10
     WHERE topic_id = $1 AND kafka_partition = $2 AND fence = $3 AND next_offset = $4`,
    [
      id.topicId,
      id.partition,
      draft.fence,
      draft.expected,
      draft.next,
      draft.publishedOffset,
      draft.rows.length,
      draft.failures.length,
      draft.markers,
      missingIn(draft.gaps),
    ],
  );
  if (moved.rowCount === 1) return null;
  const found = await client.query<{ fence: bigint }>(
    'SELECT fence FROM audit.sink_offset WHERE topic_id = $1 AND kafka_partition = $2',
    [id.topicId, id.partition],
  );
  return { kind: found.rows[0]?.fence === draft.fence ? 'moved' : 'fenced' };
}

/** Per draft and row the offset of the first copy, from the log of its own partition only (X6, X15). */
async function findFirstCopies(
  client: PoolClient,
  drafts: readonly PartitionDraft[],
): Promise<readonly (readonly (bigint | null)[])[]> {
  const asked = drafts.flatMap((draft, at) => draft.rows.map((row, index) => ({ draft, row, at, index })));
  const stored = drafts.map(() => new Map<number, bigint>());
  if (asked.length > 0) {
    const sinces = asked.map(({ row }) => duplicateSinceMs(row));
    const { rows } = await client.query<{ ordinal: bigint; first_offset: bigint }>(
      `SELECT ordinal, first_offset FROM audit.first_copies($1, $2, $3, $4,
         ARRAY(SELECT to_timestamp(ms / 1000.0) FROM unnest($5::float8[]) WITH ORDINALITY AS s(ms, n) ORDER BY n), $6, $7)`,
      [
        asked.map(({ draft }) => draft.id.topicId),
        asked.map(({ draft }) => draft.id.partition),
        asked.map(({ row }) => row.projection.retentionClass),
        asked.map(({ row }) => row.projection.recordKey),
        sinces,
        asked.map(({ draft }) => draft.expected),
        new Date(sinces.reduce((low, since) => Math.min(low, since))),
      ],
    );
    for (const { ordinal, first_offset } of rows) {
      const entry = asked[Number(ordinal) - 1];
      if (entry) stored[entry.at]?.set(entry.index, first_offset);
    }
  }
  return drafts.map((draft, at) => firstCopies(draft.rows, stored[at] ?? new Map()));
}

async function writeFailures(client: PoolClient, drafts: readonly PartitionDraft[]): Promise<void> {
  for (const { id, failures } of drafts) {
    for (const failure of failures) {
      await client.query(
        `INSERT INTO audit.delivery_failure
           (topic_id, kafka_partition, kafka_offset, topic, recorded_at, stage, reason, detail, raw_sha256, raw_bytes)
         VALUES ($1, $2, $3, $4, to_timestamp($5 / 1000.0), $6, $7, $8, $9, $10)`,
        [
          id.topicId,
          id.partition,
          failure.offset,
          id.topic,
          failure.recordedAtMs,
          failure.stage,
          failure.reason,
          failure.detail,
          failure.rawSha256,
          failure.rawBytes,
        ],
      );
    }
  }
}

async function writeGaps(client: PoolClient, drafts: readonly PartitionDraft[]): Promise<void> {
  for (const { id, gaps } of drafts) {
    for (const gap of gaps) {
      await client.query(
        `INSERT INTO audit.gap (topic_id, kafka_partition, from_offset, to_offset, topic, reason)
         VALUES ($1, $2, $3, $4, $5, $6)`,
        [id.topicId, id.partition, gap.from, gap.to, id.topic, gap.reason],
      );
    }
  }
}

/** The latest other id of the same topic name and partition, remembered for good (X5); null when there was none. */
async function recordTopicChange(client: PoolClient, id: PartitionId): Promise<Position['previous']> {
  const { rows } = await client.query<{ topic_id: string; next_offset: bigint }>(
    `SELECT topic_id, next_offset FROM audit.sink_offset
     WHERE topic = $1 AND kafka_partition = $2 AND topic_id <> $3 ORDER BY updated_at DESC LIMIT 1`,
    [id.topic, id.partition, id.topicId],
  );
  const before = rows[0];
  if (!before) return null;
  await client.query(
    `INSERT INTO audit.topic_change (topic_id, kafka_partition, topic, previous_topic_id, previous_next_offset)
     VALUES ($1, $2, $3, $4, $5)`,
    [id.topicId, id.partition, id.topic, before.topic_id, before.next_offset],
  );
  return { topicId: before.topic_id, nextOffset: before.next_offset };
}

/** Copies ever smaller parts under savepoints until single rows are found guilty; all of it is rolled back. */
async function bisect(
  client: PoolClient,
  draft: PartitionDraft,
  range: { from: number; until: number },
  refused: number[],
): Promise<void> {
  if (range.from >= range.until) return;
  await client.query('SAVEPOINT part');
  try {
    const part = draft.rows.slice(range.from, range.until);
    await copyBinary(
      client,
      'audit.event',
      EVENT_COLUMNS,
      part.map((row) => eventRow(draft.id, row, null)),
    );
    await client.query('RELEASE SAVEPOINT part');
  } catch (error) {
    const sqlstate = stateOf(error);
    if (sqlstate === null || !CONTENT_STATES.test(sqlstate)) throw error;
    await client.query('ROLLBACK TO SAVEPOINT part');
    if (range.until - range.from === 1) {
      refused.push(range.from);
      return;
    }
    const middle = (range.from + range.until) >> 1;
    await bisect(client, draft, { from: range.from, until: middle }, refused);
    await bisect(client, draft, { from: middle, until: range.until }, refused);
  }
}

function stateOf(error: unknown): string | null {
  const state = error instanceof TracehoundError ? error.fields['sqlstate'] : undefined;
  return typeof state === 'string' ? state : null;
}

/** 23514 without a constraint is "no partition of relation found for row". */
function isPartitionMissing(error: unknown): boolean {
  return stateOf(error) === CHECK_VIOLATION && error instanceof TracehoundError && !('constraint' in error.fields);
}

function monthsOf(drafts: readonly PartitionDraft[]): readonly Date[] {
  const months = new Set<number>();
  for (const { rows } of drafts) {
    for (const row of rows) months.add(startOfMonthMs(row));
  }
  return [...months].map((ms) => new Date(ms));
}

function startOfMonthMs(row: AuditRow): number {
  const at = new Date(row.origin.recordedAtMs);
  return Date.UTC(at.getUTCFullYear(), at.getUTCMonth(), 1);
}

function keyOf(id: PartitionId): string {
  return `${id.topicId}/${String(id.partition).padStart(6, '0')}`;
}
