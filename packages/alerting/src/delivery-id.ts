import { createHash } from 'node:crypto';
import type { AlertRecord } from './alert-record.ts';

/**
 * First 32 hex digits of SHA-256 over length-prefixed parts, as for alert ids (contracts section 3): no two lists of
 * parts share their bytes.
 */
export function stableId(...parts: readonly string[]): string {
  const hash = createHash('sha256');
  for (const part of parts) {
    const bytes = Buffer.from(part, 'utf8');
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    hash.update(length).update(bytes);
  }
  return hash.digest('hex').slice(0, 32);
}

/**
 * Identity of a notice: a function of the alert record alone, so that a notice sent from memory while the store was
 * away, and the same notice found again after a crash, are one. A thin notice and its completion are two notices.
 */
export function noticeId(record: Pick<AlertRecord, 'alert_id' | 'revision'>, options: { thin: boolean }): string {
  return stableId('notice', record.alert_id, String(record.revision), options.thin ? 'thin' : 'full');
}

/**
 * Outbox id = idempotency key = `webhook-id` of one notice to one receiver; equal for all its attempts. Holds no
 * full stop, which Standard Webhooks forbids in ids.
 */
export function deliveryId(notice: string, receiver: string): string {
  return `msg_${stableId('delivery', notice, receiver)}`;
}
