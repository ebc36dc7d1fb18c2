import { describe, expect, test } from 'vitest';
import { decideDelivery, decideInDoubt, parseRetryAfter, RETRY_SCHEDULE_MS } from './delivery-decision.ts';

const status = (code: number, retryAfterMs: number | null = null) =>
  ({ kind: 'status', status: code, retryAfterMs }) as const;
const first = { attempt: 1, random: 0 };

describe('decideDelivery', () => {
  test.each([200, 202, 204])('%i is sent', (code) => {
    expect(decideDelivery(status(code), first)).toEqual({ action: 'sent' });
  });

  test.each([
    [status(500), 'server_error'],
    [status(503), 'server_error'],
    [status(408), 'server_error'],
    [status(429), 'rate_limited'],
    [{ kind: 'timeout' } as const, 'timeout'],
    [{ kind: 'network', code: 'ECONNREFUSED' } as const, 'network'],
  ])('%j is tried again', (response, errorCode) => {
    expect(decideDelivery(response, first)).toEqual({ action: 'retry', delayMs: 1_000, errorCode });
  });

  test.each([
    [400, 'refused', false],
    [401, 'refused', false],
    [404, 'refused', false],
    [413, 'refused', false],
    [301, 'redirected', false],
    [307, 'redirected', false],
    [410, 'gone', true],
  ])('%i is dead', (code, errorCode, disablesReceiver) => {
    expect(decideDelivery(status(code), first)).toEqual({ action: 'dead', errorCode, disablesReceiver });
  });

  test('waits 1 s, 5 s, 30 s, 2 m, 10 m and so on, with up to a fifth more, then gives up', () => {
    const delays = RETRY_SCHEDULE_MS.map((_wait, index) =>
      decideDelivery(status(500), { attempt: index + 1, random: 0 }),
    );
    expect(delays.slice(0, 5)).toMatchObject([1_000, 5_000, 30_000, 120_000, 600_000].map((delayMs) => ({ delayMs })));
    expect(decideDelivery(status(500), { attempt: 2, random: 0.999_999 })).toMatchObject({ delayMs: 6_000 });
    expect(decideDelivery(status(500), { attempt: RETRY_SCHEDULE_MS.length + 1, random: 0 })).toEqual({
      action: 'dead',
      errorCode: 'server_error',
      disablesReceiver: false,
    });
  });

  test('Retry-After lengthens a wait, never shortens it, and is capped at a day', () => {
    expect(decideDelivery(status(429, 7_000), first)).toMatchObject({ delayMs: 7_000 });
    expect(decideDelivery(status(503, 100), first)).toMatchObject({ delayMs: 1_000 });
    expect(decideDelivery(status(429, 9e9), first)).toMatchObject({ delayMs: 86_400_000 });
  });

  test('the schedule is an argument', () => {
    expect(decideDelivery(status(500), { attempt: 1, random: 0, scheduleMs: [] })).toMatchObject({ action: 'dead' });
  });
});

test.each([
  ['120', 120_000],
  [' 0 ', 0],
  ['Thu, 01 Jan 2026 00:01:00 GMT', 60_000],
  ['Wed, 31 Dec 2025 00:00:00 GMT', null],
  ['-1', null],
  ['1.5', null],
  ['soon', null],
  [null, null],
])('Retry-After %j is %j ms', (value, expected) => {
  expect(parseRetryAfter(value, Date.UTC(2026, 0, 1))).toBe(expected);
});

test('in doubt: idempotent receivers get it again; others from high up, below it is held', () => {
  expect(decideInDoubt({ isIdempotent: true }, 'low')).toBe('resend');
  expect(decideInDoubt({ isIdempotent: false }, 'high')).toBe('resend');
  expect(decideInDoubt({ isIdempotent: false }, 'medium')).toBe('hold');
  expect(decideInDoubt({ isIdempotent: false }, 'medium', { resendFrom: 'low' })).toBe('resend');
});
