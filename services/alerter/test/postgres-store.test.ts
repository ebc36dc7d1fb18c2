import { buildNotice } from '@tracehound/alerting';
import { createPool, migrate } from '@tracehound/postgres';
import { testStack } from '@tracehound/testkit';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { createPostgresStore } from '../src/adapters/postgres-store.ts';
import type { AlertTransaction } from '../src/ports.ts';
import { newDelivery } from '../src/stages/group.ts';
import { alertRecord, hexId } from './alert-record.fixture.ts';
import { alertStoreContract, SENT } from './alert-store.contract.ts';
import { MIGRATIONS } from './alerter-world.fixture.ts';
import { insertAuditRow, setSinkPosition } from './audit-rows.fixture.ts';

let url = '';
let pool: ReturnType<typeof createPool>;

beforeAll(async () => {
  url = await (await testStack()).database();
  await migrate(url, MIGRATIONS);
  pool = createPool(url, { applicationName: 'alerter-contract' });
});
afterAll(async () => {
  await pool.end();
});

const TABLES = [
  'alert_delivery_failures',
  'delivery_attempt',
  'outbox',
  'notice_group',
  'notice',
  'alert_member',
  'alert',
  'suppression_slot',
  'parked',
  'record_outbox',
  'disabled_receiver',
  'consumed_offset',
];

alertStoreContract('PostgreSQL', async () => {
  if (!new URL(url).pathname.includes('test')) throw new Error('this is not a test database');
  await pool.query(`TRUNCATE ${TABLES.map((table) => `alerting.${table}`).join(', ')}`);
  return {
    store: createPostgresStore(pool),
    setSinkPosition: (position) => setSinkPosition(pool, position),
    setAuditedAlert: (position, row) =>
      insertAuditRow(pool, {
        kind: 'alert',
        organization: row.organizationId,
        key: String(position.offset),
        position,
        payload: row.payload,
        atMs: Date.UTC(2026, 0, 1),
      }),
    addEvent: (event) =>
      insertAuditRow(pool, {
        kind: 'event',
        organization: event.organization_id,
        key: event.event_id,
        eventId: event.event_id,
        atMs: event.at,
        receivedAtMs: event.received_at,
        traceId: event.trace_id,
        spanId: event.span_id,
      }),
    close: async () => undefined,
  };
});

test('R-205 is a constraint: two alerts cannot hold the slot of one key', async () => {
  const insert = (id: string) =>
    pool.query(
      `INSERT INTO alerting.alert VALUES ($1, 'acme', 'key', true, 'open', 'high', 0, 0, 'high', 0, 'r', 't', '{}', 0, 0, 0, 0)`,
      [id],
    );
  await insert('d'.repeat(32));
  await expect(insert('e'.repeat(32))).rejects.toMatchObject({ constraint: 'alert_slot' });
});

test('a failure names the notice, never its content', async () => {
  await pool.query(`INSERT INTO alerting.notice_group VALUES ('g', 'acme', 'hook')`);
  await pool.query(`INSERT INTO alerting.notice VALUES ($1, $2, 'acme', 'opened', 'high', false, '{}', 0)`, [
    '1'.repeat(32),
    'c'.repeat(32),
  ]);
  await pool.query(
    `INSERT INTO alerting.outbox (delivery_id, group_id, notice_id, alert_id, organization_id, receiver, channel, state, next_attempt_at_ms, created_at_ms)
     VALUES ('d', 'g', $1, $2, 'acme', 'hook', 'webhook', 'dead', 0, 0)`,
    ['1'.repeat(32), 'c'.repeat(32)],
  );
  const insert = (reference: string) =>
    pool.query(
      `INSERT INTO alerting.alert_delivery_failures (delivery_id, alert_id, organization_id, receiver, channel, attempts, error_code, payload_reference, failed_at_ms)
       VALUES ('d', $1, 'acme', 'hook', 'webhook', 1, 'refused', $2, 0)`,
      ['c'.repeat(32), reference],
    );
  await insert(`notice:${'1'.repeat(32)}`);
  await expect(insert('{"actor": "Jane"}')).rejects.toMatchObject({ code: '23514' });
});

test('a notice saved while the one before it is recorded is flushed too', async () => {
  const store = createPostgresStore(pool);
  const notice = (id: string) =>
    buildNotice({
      record: alertRecord({ alert_id: hexId(id) }),
      reason: 'opened',
      alertId: hexId(id),
      firedAtMs: 0,
      linkBase: 'http://t',
      evidence: null,
    });
  const save = (tx: AlertTransaction, id: string) => {
    const delivery = { receiver: 'lone', channel: 'webhook', suppressionKey: 'one entity' } as const;
    return tx.saveNotice(notice(id), [newDelivery({ notice: notice(id), ...delivery })], 1);
  };
  const claim = () =>
    store.claimDeliveries({
      owner: 'one',
      nowMs: 1,
      leaseMs: 1_000,
      underWay: new Set(),
      capacity: new Map([['lone', 9]]),
      receivers: new Map([['lone', { isIdempotent: true }]]),
      inDoubt: { resendFrom: 'high' },
    });
  await store.transaction((tx) => save(tx, '1'));
  const [first] = await claim();
  if (!first) throw new Error('nothing to deliver');
  const recorded = await store.transaction(async (tx) => {
    await save(tx, '2');
    const recording = store.recordDelivery(first, SENT, 'one');
    // It waits for the group, which this transaction holds.
    await vi.waitFor(async () => {
      const { rowCount } = await pool.query(
        `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
      );
      expect(rowCount).toBe(1);
    });
    return { recording };
  });
  expect(await recorded.recording).toBe(true);
  expect((await claim()).map((delivery) => delivery.notice.alert_id)).toEqual([hexId('2')]);
});

test('the role of the service may use its schema and the three functions of the audit store, and nothing else there', async () => {
  const client = await pool.connect();
  try {
    await client.query('BEGIN; SET LOCAL ROLE alerting_writer');
    await client.query('SELECT count(*) FROM alerting.outbox');
    await client.query(`SELECT audit.sink_position('00000000-0000-4000-8000-000000000001', 0)`);
    await expect(client.query('SELECT payload FROM audit.event')).rejects.toMatchObject({ code: '42501' });
  } finally {
    await client.query('ROLLBACK');
    client.release();
  }
});
