import { describe, expect, it } from 'vitest';
import { parseEventTime, uuidTimeMs } from './event-time.ts';
import { rfc3339 } from './rfc3339.ts';

const at = (value: unknown): string | undefined => {
  const ms = parseEventTime(value);
  return ms === undefined ? undefined : rfc3339(ms);
};

describe('parseEventTime', () => {
  it.each([
    ['2026-01-02T03:04:05Z', '2026-01-02T03:04:05.000Z'],
    ['2026-01-02t03:04:05.6789z', '2026-01-02T03:04:05.678Z'],
    ['2026-01-02 03:04:05,678', '2026-01-02T03:04:05.678Z'],
    ['2026-01-02T03:04:05+02:00', '2026-01-02T01:04:05.000Z'],
    ['2026-01-02T03:04:05-0530', '2026-01-02T08:34:05.000Z'],
    ['2026-01-02T03:04:05 +01', '2026-01-02T02:04:05.000Z'],
    ['2026-01-02 03:04:05 UTC', '2026-01-02T03:04:05.000Z'],
    ['2026-01-02T03:04', '2026-01-02T03:04:00.000Z'],
    ['2026-01-02', '2026-01-02T00:00:00.000Z'],
    ['2024-02-29T00:00:00Z', '2024-02-29T00:00:00.000Z'],
    ['2016-12-31T23:59:60Z', '2016-12-31T23:59:59.999Z'],
    ['0001-01-01T00:00:00Z', '0001-01-01T00:00:00.000Z'],
    ['27/Mar/2015:13:08:09 +0100', '2015-03-27T12:08:09.000Z'],
    ['Fri, 27 Mar 2015 13:08:09 GMT', '2015-03-27T13:08:09.000Z'],
    [1427461689, '2015-03-27T13:08:09.000Z'],
    [1427461689.123, '2015-03-27T13:08:09.123Z'],
    [1427461689123, '2015-03-27T13:08:09.123Z'],
    [1427461689123456, '2015-03-27T13:08:09.123Z'],
    ['1427461689123456789', '2015-03-27T13:08:09.123Z'],
  ])('reads %s', (text, time) => expect(at(text)).toBe(time));

  it.each([
    ['2026-02-30T00:00:00Z'],
    ['2026-13-01'],
    ['2026-01-01T24:00:00Z'],
    ['2026-01-01T00:00:00Zz'],
    ['2026-01-01Tabc'],
    ['Mar 27 13:08:09'],
    [''],
    ['now'],
    [42],
    [Number.NaN],
    [null],
    [true],
    [{}],
    ['x'.repeat(100)],
  ])('refuses %s', (value) => expect(at(value)).toBeUndefined());

  it('agrees with Date.parse on every day of four centuries', () => {
    for (let day = Date.UTC(1899, 0, 1); day < Date.UTC(2301, 0, 1); day += 86_400_000) {
      const text = new Date(day + 12_345).toISOString();
      if (parseEventTime(text) !== day + 12_345 || rfc3339(day + 12_345) !== text) expect(text).toBe('another time');
    }
  });
});

describe('uuidTimeMs', () => {
  it('is the time in a UUIDv7, and in no other id', () => {
    expect(uuidTimeMs('017f22e2-79b0-7cc3-98c4-dc0c0c07398f')).toBe(0x017f22e279b0);
    expect(uuidTimeMs('017f22e2-79b0-4cc3-98c4-dc0c0c07398f')).toBeUndefined();
    expect(uuidTimeMs('line:1')).toBeUndefined();
  });
});
