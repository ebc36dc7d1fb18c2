import { Client } from 'pg';
import { PROBE_TIMEOUT_MS } from './tcp-exchange.ts';

/** `18.4`, `15.13`, … of the server behind the URL. Throws when it cannot be asked. */
export function postgresVersion(url: string): Promise<string> {
  return withPostgres(url, async (client) => {
    const result = await client.query<{ server_version: string }>('SHOW server_version');
    return result.rows[0]?.server_version ?? 'unknown';
  });
}

/** Makes the databases that are not there yet. */
export function ensureDatabases(url: string, names: readonly string[]): Promise<void> {
  return withPostgres(url, async (client) => {
    for (const name of names) {
      const found = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [name]);
      if (found.rowCount === 0) await client.query(`CREATE DATABASE ${client.escapeIdentifier(name)}`);
    }
  });
}

async function withPostgres<T>(url: string, body: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({
    connectionString: url,
    connectionTimeoutMillis: PROBE_TIMEOUT_MS,
    query_timeout: 10_000,
    application_name: 'tracehound-stack',
  });
  client.on('error', () => undefined); // A server that dies under the probe fails the query; this is the same news again.
  try {
    await client.connect();
    return await body(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}
