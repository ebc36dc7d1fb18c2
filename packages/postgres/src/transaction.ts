import { TracehoundError } from '@tracehound/event-model';
import pg, { type Pool, type PoolClient } from 'pg';
import { classifyPostgresError } from './postgres-error.ts';

export type TransactionOptions = {
  readonly isolation?: 'read committed' | 'repeatable read' | 'serializable';
  /** Runs of `work` at most; default 5. */
  readonly attemptsMax?: number;
  /** For tests: a seeded source in [0, 1). */
  readonly random?: () => number;
};

/** Pauses grow from this, doubled per attempt, times a random factor of 0.5 to 1: 5 attempts wait 150 ms together at most. */
const BACKOFF_MS = 10;

/**
 * Runs `work` in one transaction and commits. Only serialization failures and deadlocks (40001, 40P01), which
 * PostgreSQL has rolled back for certain, are repeated - so `work` must have no effects outside the transaction.
 * A connection lost during COMMIT leaves the outcome unknown: it is thrown as `SEC_PG_UNAVAILABLE`, and the caller
 * must find out by reading (X15: offset compare-and-swap).
 */
export async function transaction<T>(
  pool: Pool,
  work: (client: PoolClient) => Promise<T>,
  options: TransactionOptions = {},
): Promise<T> {
  const attemptsMax = options.attemptsMax ?? 5;
  const random = options.random ?? Math.random;
  for (let attempt = 1; ; attempt++) {
    try {
      return await once(pool, work, options.isolation ?? 'read committed');
    } catch (error) {
      const code = typeof error === 'object' && error !== null ? Reflect.get(error, 'code') : undefined;
      const repeatable = code === '40001' || code === '40P01' || code === 'SEC_PG_SERIALIZATION';
      if (!repeatable || attempt >= attemptsMax) throw classified(error);
      await new Promise((resolve) => setTimeout(resolve, BACKOFF_MS * 2 ** (attempt - 1) * (0.5 + random() / 2)));
    }
  }
}

async function once<T>(pool: Pool, work: (client: PoolClient) => Promise<T>, isolation: string): Promise<T> {
  const client = await pool.connect();
  let broken = false;
  try {
    await client.query(`BEGIN ISOLATION LEVEL ${isolation.toUpperCase()}`);
    const result = await work(client);
    await client.query('COMMIT');
    return result;
  } catch (error) {
    // A connection whose ROLLBACK fails is thrown away instead of going back into the pool inside a transaction.
    await client.query('ROLLBACK').catch(() => {
      broken = true;
    });
    throw error;
  } finally {
    client.release(broken);
  }
}

/** What `pg` says of a lost or refused connection; these errors have no SQLSTATE. */
const CONNECTION_LOST = /Connection terminated|timeout exceeded|not queryable|client was closed|timeout expired/i;

/** Errors of `work` that are not PostgreSQL's pass unchanged: they carry the caller's meaning. */
function classified(error: unknown): unknown {
  if (error instanceof TracehoundError || !(error instanceof Error)) return error;
  const fromServer = error instanceof pg.DatabaseError;
  const fromConnection = 'syscall' in error || error instanceof AggregateError || CONNECTION_LOST.test(error.message);
  return fromServer || fromConnection ? classifyPostgresError(error) : error;
}
