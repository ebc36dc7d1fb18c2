import { randomBytes } from 'node:crypto';
import { addressesFromEnvironment, type StackAddresses } from '@tracehound/stack';
import { Client, escapeIdentifier } from 'pg';

/** The real servers of this test run, and names on them that no other test file uses. */
export type TestStack = StackAddresses & {
  /** A new prefix for topics, groups and Redis keys on every call: lower case letters and digits, starts with `t`. */
  namespace(): string;
  /** URL of a new, empty database whose name contains `test`; migrate it yourself. */
  database(): Promise<string>;
};

/**
 * The stack started by vitest's global set-up, or the one the TRACEHOUND_* environment names. Nothing is started
 * here, so a test run without the set-up fails at once with the missing keys.
 */
export async function testStack(environment: NodeJS.ProcessEnv = process.env): Promise<TestStack> {
  const addresses = addressesFromEnvironment(environment);
  if (addresses === null) {
    throw new Error(
      'no servers for this test: run it through vitest (its global set-up starts them) or set TRACEHOUND_KAFKA_BROKERS, ' +
        'TRACEHOUND_REGISTRY_URL, TRACEHOUND_REDIS_STATE_URL, TRACEHOUND_REDIS_EDGE_URL and TRACEHOUND_POSTGRES_URL',
    );
  }
  return {
    ...addresses,
    namespace: () => `t${randomBytes(5).toString('hex')}`,
    database: () => createTestDatabase(addresses.postgresUrl),
  };
}

async function createTestDatabase(serverUrl: string): Promise<string> {
  const name = `tracehound_test_${randomBytes(5).toString('hex')}`;
  const client = new Client({ connectionString: serverUrl });
  await client.connect();
  try {
    await client.query(`CREATE DATABASE ${escapeIdentifier(name)}`);
  } finally {
    await client.end();
  }
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return url.href;
}
