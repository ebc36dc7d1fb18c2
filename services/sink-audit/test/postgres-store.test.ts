import { afterAll, beforeAll } from 'vitest';
import { createPostgresAuditStore } from '../src/adapters/postgres-store.ts';
import { describeAuditStore, REFUSED_EVENT_TYPE } from './audit-store.contract.ts';
import { type TestDatabase, testDatabase } from './test-database.fixture.ts';

let database: TestDatabase;

beforeAll(async () => {
  database = await testDatabase();
  await database.admin.query(
    `ALTER TABLE audit.event ADD CONSTRAINT test_refusal CHECK (event_type <> '${REFUSED_EVENT_TYPE}')`,
  );
});

afterAll(() => database.close());

describeAuditStore('PostgreSQL', async () => createPostgresAuditStore({ pool: database.writer, monthsAhead: 3 }));
