import { createPool, type Pool } from '@tracehound/postgres';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPostgresAuditStore } from '../src/adapters/postgres-store.ts';
import { withRole } from '../src/adapters/role-url.ts';
import { safeTime } from '../src/domain/safe-text.ts';
import { auditRow, draftOf, NOON_MS, partitionId } from './audit-row.fixture.ts';
import { type TestDatabase, testDatabase } from './test-database.fixture.ts';

let database: TestDatabase;
let reader: Pool;
const PARTITION = 'audit.event_long_2026_11';
const FORBIDDEN = [
  'UPDATE %t SET actor_id = NULL',
  'DELETE FROM %t',
  "INSERT INTO %t SELECT * FROM %t ON CONFLICT (topic_id, kafka_partition, kafka_offset, recorded_at, retention_class) DO UPDATE SET actor_id = 'x'",
  'TRUNCATE %t',
];

async function refusalOf(pool: Pool, statement: string, asReplica = false): Promise<string> {
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    if (asReplica) await client.query('SET LOCAL session_replication_role = replica');
    await client.query(statement);
    return 'accepted';
  } catch (error) {
    return String((error as { code?: unknown }).code); // node-postgres puts the SQLSTATE there.
  } finally {
    await client.query('ROLLBACK');
    client.release();
  }
}

beforeAll(async () => {
  database = await testDatabase();
  reader = createPool(withRole(database.url, 'audit_reader'), {
    applicationName: 'sink-test-reader',
    connectionsMax: 1,
  });
  await database.admin.query("SELECT audit.ensure_partitions(1, '2026-11-01Z')");
  const store = createPostgresAuditStore({ pool: database.writer, monthsAhead: 3 });
  const id = partitionId();
  const { fence } = await store.acquire(id, 'test');
  const failure = {
    offset: 2n,
    recordedAtMs: NOON_MS,
    stage: 'decode',
    reason: 'undecodable' as const,
    detail: 'truncated',
    rawSha256: Buffer.alloc(32),
    rawBytes: 3,
  };
  const gaps = [{ from: 3n, to: 5n, reason: 'hole' as const }];
  await store.append([
    draftOf(id, { fence, expected: 0 }, [auditRow(0), auditRow(1)], { next: 5n, failures: [failure], gaps }),
  ]);
  const again = partitionId();
  await store.acquire(again, 'test');
});

afterAll(async () => {
  await reader.end();
  await database.close();
});

describe('append-only (R-301)', () => {
  // 23001 is our trigger; 42501 means that the role may not even try.
  for (const table of ['audit.event', 'audit.event_long', PARTITION]) {
    for (const statement of FORBIDDEN) {
      const text = statement.replaceAll('%t', table);
      it(`refuses the superuser: ${text.slice(0, 60)}`, async () => {
        expect(await refusalOf(database.admin, text)).toBe('23001');
      });
      it(`refuses the superuser as replica: ${text.slice(0, 60)}`, async () => {
        expect(await refusalOf(database.admin, text, true)).toBe('23001');
      });
      it(`refuses the writer: ${text.slice(0, 60)}`, async () => {
        expect(await refusalOf(database.writer, text)).toBe('42501');
      });
    }
  }

  for (const table of ['delivery_failure', 'gap', 'topic_change']) {
    it(`guards audit.${table} too`, async () => {
      const { rows } = await database.admin.query<{ count: bigint }>(`SELECT count(*) FROM audit.${table}`);
      expect(rows[0]?.count).toBe(1n);
      expect(await refusalOf(database.admin, `DELETE FROM audit.${table}`, true)).toBe('23001');
      expect(await refusalOf(database.admin, `UPDATE audit.${table} SET topic = 'x'`, true)).toBe('23001');
      expect(await refusalOf(database.admin, `TRUNCATE audit.${table}`, true)).toBe('23001');
    });
  }

  it('gives the writer no way to read rows, to switch guards off or to become the owner', async () => {
    for (const statement of [
      'SELECT * FROM audit.event',
      `SELECT * FROM ${PARTITION}`,
      `INSERT INTO ${PARTITION} SELECT * FROM ${PARTITION}`,
      'ALTER TABLE audit.event DISABLE TRIGGER refuse_change',
      `DROP TABLE ${PARTITION}`,
      `ALTER TABLE audit.event_long DETACH PARTITION ${PARTITION}`,
      'DELETE FROM audit.sink_offset',
      'SET LOCAL session_replication_role = replica',
      "SELECT * FROM audit.get_event('acme', 'event-0')",
    ]) {
      expect([statement, await refusalOf(database.writer, statement)]).toEqual([statement, '42501']);
    }
  });

  it('lets the reader read the parent and the contract functions, and nothing else', async () => {
    const { rows } = await reader.query<{ event_id: string }>(
      "SELECT event_id FROM audit.get_event('acme', 'event-0')",
    );
    expect(rows).toEqual([{ event_id: 'event-0' }]);
    expect(await refusalOf(reader, 'SELECT count(*) FROM audit.event')).toBe('accepted');
    expect(await refusalOf(reader, `SELECT count(*) FROM ${PARTITION}`)).toBe('42501');
    expect(await refusalOf(reader, 'INSERT INTO audit.gap SELECT * FROM audit.gap')).toBe('42501');
  });

  it('guards partitions that are made later, on demand', async () => {
    const { rows } = await database.admin.query<{ name: string }>(
      "SELECT made AS name FROM audit.ensure_partitions(0, '2031-01-31 23:59:59.999+00') AS made ORDER BY 1",
    );
    expect(rows.map((row) => row.name)).toEqual(
      ['long', 'permanent', 'short', 'standard'].map((name) => `event_${name}_2031_01`),
    );
    const guards = await database.admin.query<{ tgname: string; tgenabled: string }>(
      "SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = 'audit.event_long_2031_01'::regclass ORDER BY 1",
    );
    expect(guards.rows).toEqual([
      { tgname: 'refuse_change', tgenabled: 'A' },
      { tgname: 'refuse_truncate', tgenabled: 'A' },
    ]);
    expect(await refusalOf(database.admin, 'TRUNCATE audit.event_long_2031_01', true)).toBe('23001');
  });

  it('makes partitions once when several sinks ask at the same moment', async () => {
    const ask = () =>
      database.writer.query<{ name: string }>(
        "SELECT made AS name FROM audit.ensure_partitions(2, '2032-11-15Z') AS made",
      );
    const answers = await Promise.all([ask(), ask(), ask(), ask()]);
    expect(answers.flatMap((answer) => answer.rows.map((row) => row.name)).sort()).toEqual(
      ['long', 'permanent', 'short', 'standard'].flatMap((name) =>
        ['2032_11', '2032_12', '2033_01'].map((month) => `event_${name}_${month}`),
      ),
    );
  });

  it('stores rows of a month that has no partition yet, and of both sides of a month border', async () => {
    const store = createPostgresAuditStore({ pool: database.writer, monthsAhead: 3 });
    const id = partitionId();
    const { fence } = await store.acquire(id, 'test');
    const border = Date.UTC(2040, 1, 1);
    const rows = [auditRow(0, { recordedAtMs: border - 1 }), auditRow(1, { recordedAtMs: border })];
    expect(await store.append([draftOf(id, { fence, expected: 0 }, rows)])).toMatchObject([{ kind: 'committed' }]);
    const { rows: found } = await database.admin.query<{ part: string }>(
      'SELECT tableoid::regclass::text AS part FROM audit.event WHERE topic_id = $1 ORDER BY kafka_offset',
      [id.topicId],
    );
    expect(found.map((row) => row.part)).toEqual(['audit.event_long_2040_01', 'audit.event_long_2040_02']);
  });

  it('stores texts at the bound of an index, instants at the edges and a payload of a megabyte', async () => {
    const store = createPostgresAuditStore({ pool: database.writer, monthsAhead: 3 });
    const id = partitionId();
    const { fence } = await store.acquire(id, 'test');
    const longest = { organizationId: 'o'.repeat(512), eventType: 't'.repeat(512), actorId: 'a'.repeat(512) };
    const notes = { flags: 0 };
    const edges = {
      eventTimeMs: safeTime(Number.MIN_SAFE_INTEGER, notes),
      occurredAtMs: safeTime(Number.MAX_SAFE_INTEGER, notes),
    };
    const row = auditRow(0, { ...longest, ...edges, recordKey: 'k'.repeat(1_100) });
    const big = { ...row, origin: { ...row.origin, payload: Buffer.alloc(1_048_576, 7) } };
    expect(await store.append([draftOf(id, { fence, expected: 0 }, [big])])).toMatchObject([{ kind: 'committed' }]);
  });
});
