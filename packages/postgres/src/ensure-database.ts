import pg from 'pg';
import { classifyPostgresError } from './postgres-error.ts';

/** SQLSTATEs that say the database is there already, also when two processes create it at once. */
const EXISTS = new Set(['42P04', '23505']);

/**
 * Creates the database named in the address when it is missing, through the maintenance database `postgres` of the same
 * server. Idempotent; returns whether it was created. Needs the right to create databases only when it is missing.
 */
export async function ensureDatabase(url: string): Promise<boolean> {
  const target = new URL(url);
  const name = decodeURIComponent(target.pathname.slice(1));
  const maintenance = new URL(url);
  maintenance.pathname = '/postgres';
  const client = new pg.Client({ connectionString: maintenance.href, connectionTimeoutMillis: 5_000 });
  try {
    await client.connect();
    const found = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [name]);
    if (found.rowCount === 1) return false;
    await client.query(`CREATE DATABASE "${name.replaceAll('"', '""')}"`);
    return true;
  } catch (error) {
    if (error instanceof pg.DatabaseError && EXISTS.has(error.code ?? '')) return false;
    throw classifyPostgresError(error);
  } finally {
    await client.end().catch(() => undefined);
  }
}
