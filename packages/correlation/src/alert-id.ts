import { hash } from 'node:crypto';

/**
 * X9: hash(organization, correlation uid, semantic hash, group, frame, trigger event id or timer due); never a
 * Kafka coordinate, so a replay finds the same id. First 32 hex digits of SHA-256 over length-prefixed parts.
 */
export function alertIdOf(parts: {
  readonly organization: string;
  readonly correlation: string;
  readonly semanticHash: string;
  readonly groupKey: string;
  readonly frame: number;
  readonly trigger: string;
}): string {
  const { organization, correlation, semanticHash, groupKey, frame, trigger } = parts;
  return hashOf([organization, correlation, semanticHash, groupKey, String(frame), trigger]).slice(0, 32);
}

/** SHA-256 in hex over length-prefixed parts. */
export function hashOf(parts: readonly string[]): string {
  return hash('sha256', parts.map((part) => `${Buffer.byteLength(part)}:${part}`).join(''), 'hex');
}

/** Kinds in the order in which they can follow each other at one watermark. */
const REVISION_STEP = { OPEN: 0, UPDATE: 1, FINAL: 2, END: 3, DEGRADED: 0 } as const;

/** X10.13: 4 * watermark + kind. Grows per alert id, needs no history, is exact up to the end-of-input watermark. */
export function revisionOf(kind: keyof typeof REVISION_STEP, watermarkMs: number): number {
  return 4 * Math.max(watermarkMs, 0) + REVISION_STEP[kind];
}
