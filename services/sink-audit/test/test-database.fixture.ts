import { createPool, migrate, type Pool } from '@tracehound/postgres';
import { testStack } from '@tracehound/testkit';
import { withRole } from '../src/adapters/role-url.ts';

export const MIGRATIONS: URL = new URL('../../../deploy/migrations/', import.meta.url);

export type TestDatabase = {
  readonly url: string;
  /** As the migrator: may look at everything. */
  readonly admin: Pool;
  /** With the rights of the sink only. */
  readonly writer: Pool;
  close(): Promise<void>;
};

/** A fresh, migrated database whose name contains `test`. */
export async function testDatabase(): Promise<TestDatabase> {
  const stack = await testStack();
  const url = await stack.database();
  await migrate(url, MIGRATIONS);
  const admin = createPool(url, { applicationName: 'sink-test-admin', connectionsMax: 3 });
  const writer = createPool(withRole(url, 'audit_writer'), { applicationName: 'sink-test', connectionsMax: 4 });
  return {
    url,
    admin,
    writer,
    async close() {
      await writer.end();
      await admin.end();
    },
  };
}
