import { hash } from 'node:crypto';

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
  const { organizationId, ruleId, semanticHash, eventId } = parts;
  return hash(
    'sha256',
    `${prefixed(organizationId)}${prefixed(ruleId)}${prefixed(semanticHash)}${prefixed(eventId)}`,
  ).slice(0, 32);
}

function prefixed(part: string): string {
  return `${Buffer.byteLength(part)}:${part}`;
}
