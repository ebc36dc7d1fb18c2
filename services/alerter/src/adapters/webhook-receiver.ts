import { createHash } from 'node:crypto';
import { type DeliveryResponse, parseRetryAfter, renderWebhookBody, signWebhook } from '@tracehound/alerting';
import type { Receiver } from '../ports.ts';

/** Bytes read of an answer: enough for its digest to mean something, too few to hurt. */
const RESPONSE_BYTES_MAX = 64 * 1_024;

export type WebhookReceiverOptions = {
  readonly name: string;
  readonly url: string;
  /** Decoded signing keys; two while one is being replaced. */
  readonly keys: readonly Buffer[];
  readonly timeoutMs: number;
  readonly concurrencyMax: number;
  /** Age from which a notice says that it is late. */
  readonly lateMs: number;
  readonly now: () => number;
};

/**
 * A signed webhook (Standard Webhooks 1.0). Redirects are not followed: the signature is for this address only. The
 * bound on time holds for the whole exchange, the answer's body included; of the body only a digest is kept.
 */
export function createWebhookReceiver(options: WebhookReceiverOptions): Receiver {
  return {
    name: options.name,
    channel: 'webhook',
    isIdempotent: true,
    concurrencyMax: options.concurrencyMax,

    async send({ deliveryId, notice, nowMs }) {
      const body = renderWebhookBody(notice, { nowMs, lateMs: options.lateMs });
      const signed = signWebhook({ id: deliveryId, timestampSeconds: Math.floor(nowMs / 1_000), body }, options.keys);
      const signal = AbortSignal.timeout(options.timeoutMs);
      try {
        const answer = await fetch(options.url, {
          method: 'POST',
          redirect: 'manual',
          signal,
          headers: { ...signed, 'content-type': 'application/json', 'user-agent': 'tracehound-alerter' },
          body,
        });
        const response: DeliveryResponse = {
          kind: 'status',
          status: answer.status,
          retryAfterMs: parseRetryAfter(answer.headers.get('retry-after'), options.now()),
        };
        return { response, responseSha256: await digest(answer.body) };
      } catch (error) {
        return { response: signal.aborted ? { kind: 'timeout' } : trouble(error), responseSha256: null };
      }
    },
  };
}

/** The status line decides; a body that breaks off or does not end in time takes nothing back. */
async function digest(body: ReadableStream<Uint8Array> | null): Promise<string | null> {
  const hash = createHash('sha256');
  let left = RESPONSE_BYTES_MAX;
  try {
    // Leaving the loop cancels the stream, and with it the connection of an endless answer.
    for await (const chunk of body ?? []) {
      hash.update(chunk.subarray(0, left));
      left -= chunk.length;
      if (left <= 0) break;
    }
  } catch {
    return null;
  }
  return hash.digest('hex');
}

/** `fetch` hides the system's error code in the cause. */
function trouble(error: unknown): DeliveryResponse {
  const cause: unknown = error instanceof Error ? error.cause : undefined;
  const code: unknown = typeof cause === 'object' && cause !== null ? Reflect.get(cause, 'code') : undefined;
  const text = typeof code === 'string' ? code : 'UNKNOWN';
  return text.includes('TIMEOUT') ? { kind: 'timeout' } : { kind: 'network', code: text };
}
