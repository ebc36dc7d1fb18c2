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

export async function setRegistryCompatibility(url: string, level: string): Promise<void> {
  const response = await fetch(new URL('/config', url), {
    method: 'PUT',
    headers: { 'content-type': MEDIA_TYPE },
    body: JSON.stringify({ compatibility: level }),
    signal: AbortSignal.timeout(PROBE_TIMEOUT_MS),
  });
  if (!response.ok) throw new Error(`PUT /config was answered with ${response.status}`);
}
