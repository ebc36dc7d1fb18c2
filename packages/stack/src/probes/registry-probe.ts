import { PROBE_TIMEOUT_MS } from './tcp-exchange.ts';

const MEDIA_TYPE = 'application/vnd.schemaregistry.v1+json';

/** The compatibility level for subjects without their own; asks the registry's storage, so it proves that too. */
export async function registryCompatibility(url: string): Promise<string> {
  const response = await fetch(new URL('/config', url), { signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) });
  if (!response.ok) throw new Error(`GET /config was answered with ${response.status}`);
  const body: unknown = await response.json();
  if (typeof body !== 'object' || body === null || !('compatibilityLevel' in body)) return 'unknown';
  return String(body.compatibilityLevel);
}

/** Every new version of a schema must read, and be read by, all earlier ones. */
export const COMPATIBILITY = 'FULL_TRANSITIVE';

/**
 * Sets the level for subjects without their own. Idempotent. Needed after a start because the level of the registry's
 * configuration loses against the one its migrations write into a new database.
 */
export async function settleRegistry(url: string): Promise<void> {
  const response = await fetch(new URL('/config', url), {
    method: 'PUT',
    headers: { 'content-type': MEDIA_TYPE },
    body: JSON.stringify({ compatibility: COMPATIBILITY }),
    signal: AbortSignal.timeout(PROBE_TIMEOUT_MS),
  });
  if (!response.ok) throw new Error(`PUT /config was answered with ${response.status}`);
}
