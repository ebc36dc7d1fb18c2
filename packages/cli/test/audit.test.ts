import { createPool, migrate, type Pool } from '@tracehound/postgres';
import { testStack } from '@tracehound/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AuditQueryCommand, countAuditRows, runAuditQuery } from '../src/commands/audit.ts';
import { UsageError } from '../src/usage-error.ts';

let pool: Pool;

beforeAll(async () => {
  const url = await (await testStack()).database();
  await migrate(url, new URL('../../../deploy/migrations/', import.meta.url));
  pool = createPool(url, { applicationName: 'cli-test', connectionsMax: 2 });
  await pool.query("SELECT audit.ensure_partitions(0, '2026-11-15Z')");
  // Three events of two organizations, one of them twice, and an alert; an hour apart.
  await pool.query(
    `INSERT INTO audit.event (recorded_at, topic_id, kafka_partition, kafka_offset, schema_id, projection_rev,
       projection_flags, severity, is_duplicate, duplicate_of, retention_class, kind, topic, record_key, organization_id,
       event_id, event_type, action, outcome, actor_id, trace_id, platform, attrs, payload)
     SELECT timestamptz '2026-11-10 10:00Z' + n * interval '1 hour', '11111111-1111-1111-1111-111111111111', 0, n, 1, 1,
       0, 3, n = 2, CASE WHEN n = 2 THEN 1 END, 'long', kind, 'security.events', 'e' || least(n, 1), org,
       'e' || n, type, action, 'failure', 'ada', 't' || n, 'python', '{}', '\\x00'
     FROM (VALUES (0, 'event', 'acme', 'auth.login.failure', NULL), (1, 'event', 'acme', 'auth.login.success', NULL),
       (2, 'event', 'acme', 'auth.login.success', NULL), (3, 'event', 'other', 'auth.logout', NULL),
       (4, 'alert', 'acme', NULL, 'OPEN')) AS r(n, kind, org, type, action)`,
  );
});

afterAll(() => pool.end());

async function query(overrides: Partial<AuditQueryCommand>): Promise<{ out: string[]; code: number }> {
  const out: string[] = [];
  const terminal = { out: (text: string) => void out.push(text), note: (text: string) => void out.push(text) };
  const code = await runAuditQuery({ pool, format: 'ndjson', to: '2026-11-11T00:00:00Z', terminal, ...overrides });
  return { out, code };
}

describe('tracehound audit query', () => {
  it('prints rows in log order without copies, one JSON line each', async () => {
    const { out, code } = await query({});
    expect(code).toBe(0);
    const lines = out.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines.map((line) => line['position'])).toEqual([0, 1, 3, 4].map((n) => `security.events/0/${n}`));
    expect(lines[0]).toMatchObject({ recorded_at: '2026-11-10T10:00:00.000Z', severity: 'MEDIUM', actor_id: 'ada' });
  });

  it('filters by organization, kind, type, trace, and time', async () => {
    const positions = async (overrides: Partial<AuditQueryCommand>): Promise<number[]> =>
      (await query(overrides)).out.map((line) => Number((JSON.parse(line) as { position: string }).position.slice(-1)));
    expect(await positions({ organization: 'other' })).toEqual([3]);
    expect(await positions({ kind: 'alert' })).toEqual([4]);
    expect(await positions({ type: 'auth.login.failure' })).toEqual([0]);
    expect(await positions({ traceId: 't1' })).toEqual([1]);
    expect(await positions({ from: '2026-11-10T13:00:00Z', to: '2026-11-10T14:00:00Z' })).toEqual([3]);
    expect(await positions({ limit: '1' })).toEqual([4]);
  });

  it('prints a table, and says so when there is nothing', async () => {
    const { out } = await query({ format: 'table', kind: 'alert' });
    expect(out[0]?.split('\n')[1]).toMatch(
      /^2026-11-10T14:00:00.000Z {2}alert {2}acme .* OPEN .*security.events\/0\/4$/,
    );
    expect((await query({ format: 'table', organization: 'nobody' })).out).toEqual(['no audit rows in this range']);
  });

  it('refuses bad input with one sentence', async () => {
    await expect(query({ kind: 'nothing' })).rejects.toBeInstanceOf(UsageError);
    await expect(query({ from: 'yesterday' })).rejects.toThrow('--from takes a time');
    await expect(query({ from: '2026-11-12T00:00:00Z' })).rejects.toThrow('--from must lie before --to');
    await expect(query({ limit: '0' })).rejects.toThrow('--limit');
  });

  it('counts rows per kind without copies', async () => {
    expect(await countAuditRows(pool)).toEqual(
      new Map([
        ['alert', 1],
        ['event', 3],
      ]),
    );
  });
});
