import type { Severity } from './severity.ts';
import { isAtLeast } from './severity.ts';

/**
 * Waits after the 1st, 2nd, … failed attempt: tight at first because an alert is urgent (research/alerting.md 3), then
 * the schedule Standard Webhooks suggests; the last attempt comes about three days after the first.
 */
export const RETRY_SCHEDULE_MS: readonly number[] = [
  1_000, 5_000, 30_000, 120_000, 600_000, 1_800_000, 7_200_000, 18_000_000, 36_000_000, 50_400_000, 72_000_000,
  86_400_000,
];

/** A receiver may ask for a longer wait than ours, but not for more than a day. */
export const RETRY_AFTER_MS_MAX: number = 86_400_000;

/** Up to a fifth is added to each wait, so that the notices of an outage do not come back in one wave. */
const JITTER_SHARE = 0.2;

/** What came back from a receiver. `timeout` and `network`: nobody knows whether it was taken. */
export type DeliveryResponse =
  | { readonly kind: 'status'; readonly status: number; readonly retryAfterMs: number | null }
  | { readonly kind: 'timeout' }
  | { readonly kind: 'network'; readonly code: string };

export type DeliveryDecision =
  | { readonly action: 'sent' }
  | { readonly action: 'retry'; readonly delayMs: number; readonly errorCode: DeliveryErrorCode }
  | { readonly action: 'dead'; readonly errorCode: DeliveryErrorCode; readonly disablesReceiver: boolean };

/** Closed list: error code of an attempt and metric label. Never text of the receiver. */
export type DeliveryErrorCode =
  | 'rate_limited'
  | 'server_error'
  | 'timeout'
  | 'network'
  | 'refused'
  | 'redirected'
  | 'gone'
  | 'receiver_disabled'
  | 'receiver_unknown'
  | 'in_doubt_held';

/**
 * What to do after an attempt. 2xx = sent; 410 = dead, and the receiver takes nothing more; 429, 408, 5xx, time-out and
 * network trouble = again, by schedule or `Retry-After` if that is longer; anything else (a redirect too: we follow
 * none) cannot get better by itself = dead. `attempt` counts from 1; `random` is in [0, 1).
 */
export function decideDelivery(
  response: DeliveryResponse,
  context: { readonly attempt: number; readonly random: number; readonly scheduleMs?: readonly number[] },
): DeliveryDecision {
  const again = (errorCode: DeliveryErrorCode, retryAfterMs: number | null): DeliveryDecision => {
    const schedule = context.scheduleMs ?? RETRY_SCHEDULE_MS;
    const waitMs = schedule[context.attempt - 1];
    if (waitMs === undefined) return { action: 'dead', errorCode, disablesReceiver: false };
    const jittered = Math.round(waitMs * (1 + JITTER_SHARE * context.random));
    return { action: 'retry', delayMs: Math.max(jittered, Math.min(retryAfterMs ?? 0, RETRY_AFTER_MS_MAX)), errorCode };
  };
  switch (response.kind) {
    case 'timeout':
      return again('timeout', null);
    case 'network':
      return again('network', null);
    case 'status':
      break;
  }
  const { status, retryAfterMs } = response;
  if (status >= 200 && status < 300) return { action: 'sent' };
  if (status === 410) return { action: 'dead', errorCode: 'gone', disablesReceiver: true };
  if (status === 429) return again('rate_limited', retryAfterMs);
  if (status === 408 || status >= 500) return again('server_error', retryAfterMs);
  return {
    action: 'dead',
    errorCode: status >= 300 && status < 400 ? 'redirected' : 'refused',
    disablesReceiver: false,
  };
}

/**
 * `Retry-After` (RFC 9110, section 10.2.3) in milliseconds from `nowMs`: seconds or an HTTP date; null when absent,
 * malformed or in the past.
 */
export function parseRetryAfter(value: string | null | undefined, nowMs: number): number | null {
  if (value === null || value === undefined) return null;
  const text = value.trim();
  if (/^[0-9]{1,9}$/.test(text)) return Number(text) * 1_000;
  if (!/[A-Za-z]/.test(text)) return null;
  const at = Date.parse(text);
  return Number.isNaN(at) || at <= nowMs ? null : at - nowMs;
}

/** What happens to a notice of which nobody knows whether it was sent (crash between `deliver` and `record`). */
export type InDoubtPolicy = { readonly resendFrom: Severity };

export const IN_DOUBT_POLICY: InDoubtPolicy = { resendFrom: 'high' };

/**
 * A receiver that knows our idempotency key gets it again: it drops what it had. Others get it twice rather than never
 * from `resendFrom` up; below that the notice stays `in_doubt`, visible and redrivable. Never silent (E3).
 */
export function decideInDoubt(
  receiver: { readonly isIdempotent: boolean },
  severity: Severity,
  policy: InDoubtPolicy = IN_DOUBT_POLICY,
): 'resend' | 'hold' {
  return receiver.isIdempotent || isAtLeast(severity, policy.resendFrom) ? 'resend' : 'hold';
}
