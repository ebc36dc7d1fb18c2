import { expect, test } from 'vitest';
import { readIntakeEvent } from './intake-view.ts';

const HEAD = { event_type: 'auth.login.failure', source: { platform: 'web' } };

test.each([
  ['ANONYMOUS', 'ANONYMOUS'],
  ['GATEWAY', 'GATEWAY'],
  ['anything else', 'AUTHENTICATED'],
  [undefined, 'AUTHENTICATED'],
])('trust %s of a trace reads as %s', (trust, seen) => {
  const event = readIntakeEvent({ ...HEAD, trace: { trace_id: 't', trust } });
  expect(event?.view.values('trace.trust')).toEqual([seen]);
});

test('remarks of the gateway are kept when an event carries them', () => {
  expect(readIntakeEvent({ ...HEAD, flags: ['skewed', 7] })?.view.values('flags')).toEqual(['skewed']);
  expect(readIntakeEvent(HEAD)?.view.values('flags')).toEqual([]);
});
