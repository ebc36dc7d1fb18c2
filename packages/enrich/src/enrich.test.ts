import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { daysIdle } from './days-idle.ts';
import type { EnrichableEvent, Enricher } from './enricher.ts';
import { createEnrichment } from './enrichment.ts';
import { newDevice, newNetwork } from './first-seen.ts';
import { distanceKm, geoSpeed } from './geo-speed.ts';

const DAY = 86_400_000;
const T0 = 20_000 * DAY;
const BERLIN = { latitude: 52.52, longitude: 13.405 };
const SYDNEY = { latitude: -33.8688, longitude: 151.2093 };
const POTSDAM = { latitude: 52.3906, longitude: 13.0645 };

let number = 0;
const login = (fields: Partial<EnrichableEvent> = {}): EnrichableEvent => ({
  eventId: `e${number++}`,
  eventType: 'auth.login.success',
  outcome: 'SUCCESS',
  organization: 'acme',
  timeMs: T0,
  actorId: 'mia',
  deviceId: null,
  asn: null,
  place: null,
  ...fields,
});

/** Events one by one, with the state between. */
function walk(enrichers: readonly Enricher[], events: readonly EnrichableEvent[]) {
  const enrichment = createEnrichment(enrichers);
  const states = new Map<string, string>();
  return events.map((event) => {
    const { values, changed } = enrichment.run([event], states);
    for (const { id, state } of changed) states.set(id, state);
    return values[0];
  });
}

describe('geo-speed', () => {
  it('knows the distance between cities', () => {
    expect(distanceKm(BERLIN, SYDNEY)).toBeCloseTo(16_089, -2);
    expect(distanceKm(BERLIN, BERLIN)).toBe(0);
  });

  it('is the speed from the login before; nothing for the first; nobody travels within a region', () => {
    const at = (place: typeof BERLIN, hours: number) => login({ place, timeMs: T0 + hours * 3_600_000 });
    const [first, second, third] = walk([geoSpeed], [at(BERLIN, 0), at(POTSDAM, 0.01), at(SYDNEY, 2)]);
    expect(first).toEqual({});
    expect(second).toEqual({ 'geo.speed_kmh': '0' });
    expect(Number(third?.['geo.speed_kmh'])).toBeGreaterThan(7_000);
  });

  it('an event from the past is measured and does not move the account back', () => {
    const events = [
      login({ place: BERLIN }),
      login({ place: SYDNEY, timeMs: T0 - 3_600_000 }),
      login({ place: BERLIN, timeMs: T0 + 3_600_000 }),
    ];
    const [, past, now] = walk([geoSpeed], events);
    expect(Number(past?.['geo.speed_kmh'])).toBeGreaterThan(10_000);
    expect(now).toEqual({ 'geo.speed_kmh': '0' });
  });

  it('asks for a place and an account', () => {
    expect(geoSpeed.keyOf(login())).toBeNull();
    expect(geoSpeed.keyOf(login({ place: BERLIN, actorId: null }))).toBeNull();
  });
});

describe('days-idle', () => {
  it('counts whole days since anything was done, and speaks on logins', () => {
    const events = [
      login(),
      login({ eventType: 'data.export', timeMs: T0 + 5 * DAY }),
      login({ timeMs: T0 + 66.5 * DAY }),
      login({ timeMs: T0 + 66.6 * DAY }),
    ];
    expect(walk([daysIdle], events)).toEqual([{}, {}, { days_idle: '61' }, { days_idle: '0' }]);
  });
});

describe('a dormant account', () => {
  it('is not woken by a wrong password', () => {
    const refused = login({ eventType: 'auth.login.failure', outcome: 'FAILURE', timeMs: T0 + 90 * DAY - 60_000 });
    const walked = walk([daysIdle], [login(), refused, login({ timeMs: T0 + 90 * DAY })]);
    expect(walked).toEqual([{}, {}, { days_idle: '90' }]);
  });
});

describe('values', () => {
  it('of an enricher are text, and only of the fields it has declared', () => {
    const odd = {
      ...newDevice,
      name: 'odd',
      fields: ['odd'],
      step: () => ({ state: 's', values: { odd: 7, days_idle: '999' } }),
    };
    expect(walk([odd as never], [login({ deviceId: 'a' })])).toEqual([{ odd: '7' }]);
  });
});

describe('first seen', () => {
  it('nothing is new to an account without a past; later what it did not use in ninety days is', () => {
    const use = (deviceId: string, days: number) => login({ deviceId, timeMs: T0 + days * DAY });
    expect(walk([newDevice], [use('a', 0), use('a', 1), use('b', 2), use('b', 3), use('a', 95)])).toEqual([
      {},
      { device_is_new: 'false' },
      { device_is_new: 'true' },
      { device_is_new: 'false' },
      { device_is_new: 'true' },
    ]);
  });

  it('failed logins do not make a network known', () => {
    const from = (asn: number, eventType = 'auth.login.success') => login({ asn, eventType });
    const events = [from(1), from(2, 'auth.login.failure'), from(2, 'auth.login.failure'), from(2), from(2)];
    expect(walk([newNetwork], events).map((values) => values?.['network_is_new'])).toEqual([
      undefined,
      'true',
      'true',
      'true',
      'false',
    ]);
  });

  it('keeps a bounded state', () => {
    const enrichment = createEnrichment([newDevice]);
    const states = new Map<string, string>();
    for (let device = 0; device < 200; device++) {
      const event = login({ deviceId: `device-${device}-${'x'.repeat(40)}`, timeMs: T0 + device });
      for (const { id, state } of enrichment.run([event], states).changed) states.set(id, state);
    }
    expect([...states.values()].map(({ length }) => length)).toEqual([expect.any(Number)]);
    expect([...states.values()][0]?.length).toBeLessThan(3_000);
  });
});

describe('copies', () => {
  it('of an event get the values of the first, whatever came between', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 30 }), (order) => {
        const all = [geoSpeed, daysIdle, newDevice, newNetwork];
        const events = Array.from({ length: 10 }, (_, index) =>
          login({
            place: index % 2 === 0 ? BERLIN : SYDNEY,
            asn: index % 3,
            deviceId: `d${index % 4}`,
            timeMs: T0 + index * 7 * DAY,
          }),
        );
        // A copy comes soon after its event: within the answers that are kept.
        const stream = order.flatMap((index) => [events[index] as EnrichableEvent, events[index] as EnrichableEvent]);
        const walked = walk(all, stream);
        for (let at = 0; at < walked.length; at += 2) expect(walked[at + 1]).toEqual(walked[at]);
      }),
    );
  });

  it('organizations are apart', () => {
    const events = [login({ deviceId: 'a' }), login({ deviceId: 'b', organization: 'umbrella' })];
    expect(walk([newDevice], events)).toEqual([{}, {}]);
  });

  it('two enrichers of one name or field are refused', () => {
    expect(() => createEnrichment([newDevice, newDevice])).toThrow(/called/);
    expect(() => createEnrichment([newDevice, { ...newDevice, name: 'other' }])).toThrow(/field device_is_new/);
  });
});

describe('what cannot be told', () => {
  const known = (actorId: string): ReadonlyMap<string, string> => {
    const { changed } = createEnrichment([newDevice]).run([login({ actorId, deviceId: 'old' })], new Map());
    return new Map(changed.map(({ id, state }) => [id, state]));
  };

  it('a state that cannot be read flags its event alone, says no false first sight, and begins anew', () => {
    const enrichment = createEnrichment([newDevice]);
    const [bad, good] = [login({ actorId: 'eve', deviceId: 'd' }), login({ actorId: 'mallory', deviceId: 'd' })];
    const [first] = enrichment.keysOf([bad]);
    const id = first?.id ?? '';
    for (const text of ['{', 'null', '{"s":1,"a":[]}', '{"s":"x"}']) {
      const { values, changed, unknown } = enrichment.run([bad, good], new Map([...known('mallory'), [id, text]]));
      expect([...unknown]).toEqual([0]);
      expect(values).toEqual([{}, { device_is_new: 'true' }]);
      const anew = changed.find((state) => state.id === id);
      expect(anew?.before).toBe(text);
      const again = login({ actorId: 'eve', deviceId: 'd', timeMs: T0 + 1 });
      expect(enrichment.run([again], new Map([[id, anew?.state ?? '']])).values).toEqual([{ device_is_new: 'false' }]);
    }
  });

  it('an enricher that throws flags its event; the others go on, and its state stays', () => {
    const broken = { ...newDevice, name: 'broken', fields: ['broken'], step: () => fail() };
    const enrichment = createEnrichment([broken, newDevice]);
    const { values, changed, unknown } = enrichment.run([login({ actorId: 'eve', deviceId: 'd' })], known('eve'));
    expect([...unknown]).toEqual([0]);
    expect(values).toEqual([{ device_is_new: 'true' }]);
    expect(changed).toHaveLength(1);
  });
});

function fail(): never {
  throw new Error('broken on purpose');
}
