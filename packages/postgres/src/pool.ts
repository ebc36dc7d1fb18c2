import pg from 'pg';
import { classifyPostgresError, type PostgresError } from './postgres-error.ts';

export type PoolOptions = {
  /** Shown in `pg_stat_activity`. */
  readonly applicationName: string;
  /** Connections at most; default 10. */
  readonly connectionsMax?: number;
  /** Wait for a free or new connection; default 3,000 ms. */
  readonly connectTimeoutMs?: number;
  /** Bound of one statement, enforced by the server; default 30,000 ms. */
  readonly statementTimeoutMs?: number;
  /** Errors of idle connections (a server restart); they heal by themselves. */
  readonly onIdleError?: (error: PostgresError) => void;
};

/** `bigint` columns are read as bigint, never as number: offsets are exact. Times are read as `Date`. */
const INT8_OID = 20;

/** A pool that does not crash the process when the server restarts. `sslmode=` of the address is honoured. */
export function createPool(url: string, options: PoolOptions): pg.Pool {
  const pool = new pg.Pool({
    connectionString: url,
    application_name: options.applicationName,
    max: options.connectionsMax ?? 10,
    connectionTimeoutMillis: options.connectTimeoutMs ?? 3_000,
    statement_timeout: options.statementTimeoutMs ?? 30_000,
    idleTimeoutMillis: 30_000,
    keepAlive: true,
    types: {
      getTypeParser: (oid: number, format?: 'text' | 'binary') =>
        oid === INT8_OID && format !== 'binary' ? BigInt : pg.types.getTypeParser(oid, format as 'text'),
    },
  });
  pool.on('error', (error) => options.onIdleError?.(classifyPostgresError(error)));
  // A connection that breaks while checked out reports on the client as well; the failing statement carries the error.
  pool.on('connect', (client) => client.on('error', () => undefined));
  return pool;
}
