import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isUuid, newEventId, uuidTimeMs } from './event-id.ts';
import { eventTimeOf, parseInstant } from './event-time.ts';

const RECEIVED = Date.parse('2026-11-21T12:00:00.000Z');
const V4 = '4bf92f35-77b3-4da6-a3ce-929d0e0e4736';

function timeOf(input: Partial<Parameters<typeof eventTimeOf>[0]>): ReturnType<typeof eventTimeOf> {
  return eventTimeOf({
    occurredAtMs: null,
    clockSkewMs: null,
    eventId: V4,
    receivedAtMs: RECEIVED,
    futureAllowanceMs: 60_000,
    ...input,
  });
}

describe('X2 event time', () => {
  test('is occurred_at plus the correction the SDK stamped', () => {
    expect(timeOf({ occurredAtMs: 5_000 })).toEqual({ eventTimeMs: 5_000, source: 'OCCURRED', flags: [] });
    expect(timeOf({ occurredAtMs: 5_000, clockSkewMs: -2_000 })).toEqual({
      eventTimeMs: 3_000,
      source: 'OCCURRED',
      flags: ['skewed'],
    });
  });

  test('without occurred_at is the time inside the UUIDv7', () => {
    const at = RECEIVED - 3_600_000;
    expect(timeOf({ eventId: newEventId(at) })).toEqual({ eventTimeMs: at, source: 'UUID', flags: [] });
  });

  test.each([
    ['another version', V4],
    ['a time before 2020', '00000000-0001-7000-8000-000000000000'],
    ['a time in the future', newEventId(RECEIVED + 60_001)],
  ])('a UUID with %s is no time: received, flagged', (_name, eventId) => {
    expect(timeOf({ eventId })).toEqual({ eventTimeMs: RECEIVED, source: 'RECEIVED', flags: ['et_received'] });
  });

  test('is capped towards the future only', () => {
    expect(timeOf({ occurredAtMs: RECEIVED + 60_000 })).toMatchObject({ eventTimeMs: RECEIVED + 60_000, flags: [] });
    expect(timeOf({ occurredAtMs: RECEIVED + 60_001 })).toEqual({
      eventTimeMs: RECEIVED + 60_000,
      source: 'OCCURRED',
      flags: ['capped'],
    });
    expect(timeOf({ occurredAtMs: 0 })).toMatchObject({ eventTimeMs: 0, flags: [] });
  });

  test('is equal in all copies, whenever they arrive, unless capped or without any time', () => {
    fc.assert(
      fc.property(
        fc.option(fc.integer({ min: 0, max: RECEIVED })),
        fc.integer({ min: -60_000, max: 60_000 }),
        fc.integer({ min: 1_600_000_000_000, max: RECEIVED }),
        fc.nat({ max: 86_400_000 }),
        (occurredAtMs, clockSkewMs, idAtMs, laterMs) => {
          const eventId = newEventId(idAtMs, Buffer.alloc(10));
          const first = timeOf({ occurredAtMs, clockSkewMs, eventId });
          const second = timeOf({ occurredAtMs, clockSkewMs, eventId, receivedAtMs: RECEIVED + laterMs });
          expect(second.eventTimeMs).toBe(first.eventTimeMs);
        },
      ),
    );
  });
});

describe('parseInstant', () => {
  test.each([
    ['2026-11-21T12:00:00Z', RECEIVED],
    ['2026-11-21T12:00:00.123456789Z', RECEIVED + 123],
    ['2026-11-21T12:00:00.5Z', RECEIVED + 500],
    ['2026-11-21T13:30:00+01:30', RECEIVED],
    ['2026-11-21t12:00:00z', RECEIVED],
    ['2016-12-31T23:59:60Z', Date.parse('2016-12-31T23:59:59Z')],
    ['2024-02-29T00:00:00Z', Date.parse('2024-02-29T00:00:00Z')],
  ])('%s', (text, ms) => {
    expect(parseInstant(text)).toBe(ms);
  });

  test.each([
    '',
    'now',
    '2026-11-21',
    '2026-11-21T12:00:00',
    '2026-02-30T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2025-02-29T00:00:00Z',
    '2026-11-21T25:00:00Z',
    '1700000000',
  ])('refuses %s', (text) => {
    expect(parseInstant(text)).toBeNull();
  });
});

test('newEventId makes UUIDv7 that carry their time', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1_577_836_800_000, max: 2 ** 47 }), (ms) => {
      const id = newEventId(ms);
      expect(isUuid(id)).toBe(true);
      expect(uuidTimeMs(id)).toBe(ms);
      expect('89ab').toContain(id[19]);
    }),
  );
});
