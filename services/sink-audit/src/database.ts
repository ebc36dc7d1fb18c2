import { createPool, ensureDatabase, migrate } from '@tracehound/postgres';
import type { Logger } from '@tracehound/telemetry';
import { createPostgresAuditStore } from './adapters/postgres-store.ts';
import { withRole } from './adapters/role-url.ts';
import type { SinkConfig } from './config.ts';
import type { AuditStore } from './ports.ts';

const MIGRATIONS = new URL('../../../deploy/migrations/', import.meta.url);

/** The PostgreSQL store with what it needs around it. */
export type Database = { readonly store: AuditStore; prepare(): Promise<void>; close(): Promise<void> };

/**
 * Opens no connection yet. Only `prepare` works with the rights of the login (it may have to create the schema);
 * everything else runs as the role of the configuration.
 */
export function openDatabase(config: SinkConfig, logger: Logger): Database {
  const pool = createPool(withRole(config.postgres.url, config.role), {
    applicationName: 'sink-audit',
    connectionsMax: config.writersMax + 3, // One each for takeovers, marks and readiness.
    onIdleError: (error) => logger.warn('a database connection was lost', { err: error }),
  });
  return {
    store: createPostgresAuditStore({ pool, monthsAhead: config.monthsAhead }),
    async prepare() {
      if (!config.migrate) return;
      await ensureDatabase(config.postgres.url);
      const applied = await migrate(config.postgres.url, MIGRATIONS);
      if (applied.length > 0) logger.info('migrations applied', { names: applied.map(({ name }) => name) });
    },
    close: () => pool.end(),
  };
}
