import { expect, it } from 'vitest';
import { waitFor } from './wait-for.ts';

it('returns the first value that is there', async () => {
  let looks = 0;
  const seen = await waitFor(() => (++looks < 3 ? null : { looks }), { what: 'the third look', intervalMs: 1 });
  expect(seen).toEqual({ looks: 3 });
});

it('takes zero and the empty string for values', async () => {
  expect(await waitFor(() => 0, { what: 'zero' })).toBe(0);
  expect(await waitFor(() => '', { what: 'an empty string' })).toBe('');
});

it('says what it waited for and what the last look saw', async () => {
  const waiting = waitFor<number | false>(() => false, { what: 'a number', timeoutMs: 5, intervalMs: 1 });
  await expect(waiting).rejects.toThrow('waited 5 ms in vain for a number; the last look gave: false');
});

it('keeps the error of the last look', async () => {
  const waiting = waitFor(() => Promise.reject(new Error('refused')), {
    what: 'a server',
    timeoutMs: 5,
    intervalMs: 1,
  });
  await expect(waiting).rejects.toMatchObject({
    code: 'SEC_TESTKIT_WAIT_TIMEOUT',
    message: expect.stringContaining('refused'),
  });
});
