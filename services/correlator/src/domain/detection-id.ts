import { createHash } from 'node:crypto';

/**
 * First 32 hex digits of SHA-256 over the length-prefixed parts (contracts section 3): the same event and rule give
 * the same id in every replay, whatever partition or offset carried them.
 */
export function detectionId(parts: {
  readonly organizationId: string;
  readonly ruleId: string;
  readonly semanticHash: string;
  readonly eventId: string;
}): string {
  const hash = createHash('sha256');
  for (const part of [parts.organizationId, parts.ruleId, parts.semanticHash, parts.eventId]) {
    hash.update(`${Buffer.byteLength(part)}:`).update(part);
  }
  return hash.digest('hex').slice(0, 32);
}
