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

/** A fresh, migrated database whose name contains `test`, on the shared server or the given one. */
export async function testDatabase(serverUrl?: string): Promise<TestDatabase> {
  const stack = await testStack(serverUrl ? { ...process.env, TRACEHOUND_POSTGRES_URL: serverUrl } : process.env);
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
