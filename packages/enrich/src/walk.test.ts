import { describe, expect, it } from 'vitest';
import { daysIdle } from './days-idle.ts';
import { enrichableOf, withValues } from './enrichable.ts';
import { DAY_MS, type EnrichableEvent } from './enricher.ts';
import { newDevice } from './first-seen.ts';
import { geoLookup, NO_GEO } from './geo.ts';
import { createEnrichmentWalk } from './walk.ts';

const T0 = 20_000 * DAY_MS;
let number = 0;
const login = (day: number, fields: Partial<EnrichableEvent> = {}): EnrichableEvent => ({
  eventId: `e${number++}`,
  eventType: 'auth.login.success',
  outcome: 'SUCCESS',
  organization: 'acme',
  timeMs: T0 + day * DAY_MS,
  actorId: 'mia',
  deviceId: null,
  asn: null,
  place: null,
  ...fields,
});

describe('a walk over the events of a file', () => {
  it('remembers from event to event, and gives a copy what the first one got', () => {
    const { enrich } = createEnrichmentWalk([daysIdle], { statesMax: 10 });
    expect(enrich(login(0))).toEqual({});
    const later = login(61);
    expect(enrich(later)).toEqual({ days_idle: '61' });
    expect(enrich(later)).toEqual({ days_idle: '61' });
    expect(enrich(login(61, { organization: 'globex' }))).toEqual({});
  });

  it('forgets by event time, not by the clock', () => {
    const { enrich } = createEnrichmentWalk([daysIdle], { statesMax: 10 });
    enrich(login(0));
    enrich(login(400, { actorId: 'ada' }));
    // Kept for 400 days: forgotten at the 400th.
    expect(enrich(login(399))).toEqual({});
    const walk = createEnrichmentWalk([newDevice], { statesMax: 10 });
    walk.enrich(login(0, { deviceId: 'd1' }));
    expect(walk.enrich(login(89, { deviceId: 'd1' }))).toEqual({ device_is_new: 'false' });
    expect(walk.enrich(login(178, { deviceId: 'd2' }))).toEqual({ device_is_new: 'true' });
  });

  it('holds so many states, lets go of the one written longest ago, and says so', () => {
    const walk = createEnrichmentWalk([daysIdle], { statesMax: 2 });
    walk.enrich(login(0, { actorId: 'a' }));
    walk.enrich(login(0, { actorId: 'b' }));
    walk.enrich(login(1, { actorId: 'a' }));
    walk.enrich(login(1, { actorId: 'c' }));
    expect(walk).toMatchObject({ held: 2, dropped: 1 });
    expect(walk.enrich(login(2, { actorId: 'a' }))).toEqual({ days_idle: '1' });
    expect(walk.enrich(login(2, { actorId: 'b' }))).toEqual({});
  });
});

it('the device is a field of the payload, and not one of its prototype', () => {
  const { deviceId: _, ...known } = login(0);
  expect(enrichableOf(known, { device_id: 'd1' }).deviceId).toBe('d1');
  expect(enrichableOf(known, Object.create({ device_id: 'd1' })).deviceId).toBeNull();
});

it('values go over the payload, which stays the same object without any', () => {
  const payload = { a: '1' };
  expect(withValues(payload, {})).toBe(payload);
  expect(withValues(payload, { b: '2' })).toEqual({ a: '1', b: '2' });
});

it('what one database does not know another may', () => {
  const cities = { get: () => ({ country: { iso_code: 'DE' }, location: { latitude: 52, longitude: 13 } }) };
  const networks = { get: (address: string) => (address === '192.0.2.1' ? { autonomous_system_number: 64500 } : null) };
  const place = { latitude: 52, longitude: 13 };
  expect(geoLookup([cities, networks])('192.0.2.1')).toEqual({ country: 'DE', asn: 64500, place });
  expect(geoLookup([networks])('192.0.2.2')).toEqual({ country: null, asn: null, place: null });
  expect(geoLookup([])).toBe(NO_GEO);
});
