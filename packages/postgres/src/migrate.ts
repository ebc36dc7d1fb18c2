import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TracehoundError } from '@tracehound/event-model';
import pg from 'pg';
import { classifyPostgresError } from './postgres-error.ts';

export type AppliedMigration = { readonly name: string; readonly sha256: string };

/** `0001_audit.sql`: the number orders, the rest explains. */
const FILE_NAME = /^\d{4}_[a-z0-9_]+\.sql$/;
/** Any fixed number: the advisory lock under which migrations run, so that several services may start at once. */
const LOCK_ID = 7_221_901_503_441n;

/**
 * Applies the `.sql` files of `directory` that are not applied yet, in order, each in a transaction of its own under an
 * advisory lock. Idempotent and safe to run from several processes. Refuses (`SEC_PG_MIGRATION`) a file that was applied
 * and changed since, an applied file that is missing, and one that would come before an applied one.
 * Returns what was applied now.
 */
export async function migrate(target: string | pg.Pool, directory: string | URL): Promise<readonly AppliedMigration[]> {
  const files = await readMigrations(directory);
  try {
    return await withClient(target, async (client) => {
      await client.query('SELECT pg_advisory_lock($1)', [LOCK_ID]);
      try {
        return await applyMissing(client, files);
      } finally {
        await client.query('SELECT pg_advisory_unlock($1)', [LOCK_ID]).catch(() => undefined);
      }
    });
  } catch (error) {
    throw error instanceof TracehoundError ? error : classifyPostgresError(error);
  }
}

async function withClient<T>(target: string | pg.Pool, work: (client: pg.ClientBase) => Promise<T>): Promise<T> {
  if (typeof target !== 'string') {
    const client = await target.connect();
    try {
      return await work(client);
    } finally {
      client.release();
    }
  }
  const client = new pg.Client({ connectionString: target });
  try {
    await client.connect();
    return await work(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}

type Migration = AppliedMigration & { readonly sql: string };

async function readMigrations(directory: string | URL): Promise<readonly Migration[]> {
  const path = directory instanceof URL ? decodeURIComponent(directory.pathname) : directory;
  const names = (await readdir(path)).filter((name) => name.endsWith('.sql')).sort();
  const files: Migration[] = [];
  for (const name of names) {
    if (!FILE_NAME.test(name)) throw refusal('a migration file is not named 0001_words.sql', name);
    const sql = await readFile(join(path, name), 'utf8');
    files.push({ name, sql, sha256: createHash('sha256').update(sql).digest('hex') });
  }
  return files;
}

async function applyMissing(client: pg.ClientBase, files: readonly Migration[]): Promise<readonly AppliedMigration[]> {
  await client.query(`CREATE TABLE IF NOT EXISTS public.tracehound_migrations (
    name text PRIMARY KEY, sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())`);
  const { rows } = await client.query<AppliedMigration>(
    'SELECT name, sha256 FROM public.tracehound_migrations ORDER BY name',
  );
  const applied = new Map(rows.map((row) => [row.name, row.sha256]));
  const known = new Map(files.map((file) => [file.name, file.sha256]));
  for (const [name, sha256] of applied) {
    const current = known.get(name);
    if (current === undefined) throw refusal('an applied migration is missing', name);
    if (current !== sha256) throw refusal('an applied migration was changed', name);
  }
  const last = rows.at(-1)?.name ?? '';
  const missing = files.filter((file) => !applied.has(file.name));
  for (const file of missing) {
    if (file.name < last) throw refusal('a migration would come before an applied one', file.name);
    await client.query('BEGIN');
    try {
      await client.query(file.sql);
      await client.query('INSERT INTO public.tracehound_migrations (name, sha256) VALUES ($1, $2)', [
        file.name,
        file.sha256,
      ]);
      await client.query('COMMIT');
    } catch (error) {
      await client.query('ROLLBACK').catch(() => undefined);
      throw refusal('a migration failed', file.name, error);
    }
  }
  return missing.map(({ name, sha256 }) => ({ name, sha256 }));
}

function refusal(message: string, name: string, cause?: unknown): TracehoundError {
  return new TracehoundError(message, {
    code: 'SEC_PG_MIGRATION',
    category: 'permanent',
    retriable: cause !== undefined && classifyPostgresError(cause).retriable,
    cause,
    fields: { migration: name },
  });
}
