/**
 * Every final alert as a POST of JSON, for a ticket system or a workflow that has an address.
 *
 *   FORWARD_URL=https://tickets.example.org/hooks/alerts FORWARD_TOKEN_FILE=/run/secrets/tickets \
 *     tracehound handler run packages/handler/examples/kafka-to-http.ts
 *
 * A receiver that drops an `Idempotency-Key` it has seen gets each alert once. 408, 429 and 5xx, and no answer within
 * FORWARD_TIMEOUT_MS (default 10,000), mean later: the alert waits, and with it the alerts behind it in its partition; `Retry-After`
 * is obeyed. Any other refusal is final: the alert goes to security.alerts.dlq with the status. Redirects are not followed: a
 * receiver must not be able to send alerts elsewhere. The address is the operator's choice, so inner addresses are allowed.
 */
import { readFileSync } from 'node:fs';
import { defineHandler, PermanentError, RetryLaterError } from '@tracehound/handler';

const TIMEOUT_MS_DEFAULT = 10_000;
const RETRY_AFTER_MS_DEFAULT = 1_000;

let url = '';
let timeoutMs = TIMEOUT_MS_DEFAULT;
let authorization: Readonly<Record<string, string>> = {};

export default defineHandler({
  name: 'kafka-to-http',
  topics: ['security.alerts'],

  open({ env }) {
    url = env['FORWARD_URL'] ?? '';
    if (!URL.canParse(url)) throw new Error('set FORWARD_URL to the address that takes the alerts');
    timeoutMs = Number(env['FORWARD_TIMEOUT_MS'] ?? TIMEOUT_MS_DEFAULT);
    const tokenFile = env['FORWARD_TOKEN_FILE'];
    if (tokenFile) authorization = { authorization: `Bearer ${readFileSync(tokenFile, 'utf8').trim()}` };
  },

  async handle({ name, value, idempotencyKey }, { signal }) {
    if (name !== 'tracehound.pipeline.v1.CorrelationAlert' || value.kind !== 'FINAL') return;
    const response = await fetch(url, {
      method: 'POST',
      redirect: 'manual',
      headers: { 'content-type': 'application/json', 'idempotency-key': idempotencyKey, ...authorization },
      body: JSON.stringify(value),
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    });
    await response.body?.cancel();
    if (response.ok) return;
    const isLater = response.status >= 500 || response.status === 429 || response.status === 408;
    if (!isLater) throw new PermanentError(`the receiver answered ${response.status}`);
    throw new RetryLaterError(`the receiver answered ${response.status}`, retryAfterMs(response));
  },
});

/** Seconds or a date (RFC 9110, 10.2.3). */
function retryAfterMs(response: Response): number {
  const text = response.headers.get('retry-after') ?? '';
  if (/^\d+$/.test(text)) return Number(text) * 1_000;
  const atMs = Date.parse(text);
  return Number.isNaN(atMs) ? RETRY_AFTER_MS_DEFAULT : Math.max(0, atMs - Date.now());
}
