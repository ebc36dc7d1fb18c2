import { rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { GeoLookup } from '@tracehound/enrich';
import { describe, expect, it } from 'vitest';
import { createEventEnricher, openGeoDatabases } from './event-enricher.ts';
import { createEventStream } from './event-stream.ts';

const PLACES: Readonly<Record<string, ReturnType<GeoLookup>>> = {
  '192.0.2.1': { country: 'DE', asn: 64_500, place: { latitude: 52.52, longitude: 13.405 } },
  '2001:db8::1': { country: 'AU', asn: 64_501, place: { latitude: -33.87, longitude: 151.21 } },
};
const geo: GeoLookup = (address) => PLACES[address] ?? { country: null, asn: null, place: null };

const login = (day: number, more: Record<string, unknown> = {}): Record<string, unknown> => ({
  event_id: `e${day}`,
  event_type: 'auth.login.success',
  occurred_at: new Date(Date.UTC(2026, 0, 1) + day * 86_400_000).toISOString(),
  organization_id: 'acme',
  actor: { type: 'user', id: 'mia' },
  source: { platform: 'web' },
  ...more,
});

/** What rules see of some fields, event by event. */
function seen(events: readonly Record<string, unknown>[], fields: readonly string[]) {
  const { enrich } = createEventEnricher({ geo, statesMax: 100 });
  const rows: Record<string, unknown>[] = [];
  const stream = createEventStream({
    enrich,
    onEvent: ({ view }) =>
      void rows.push(
        Object.fromEntries(
          fields.flatMap((field) => {
            const values = view.values(field);
            return values === undefined ? [] : [[field, values[0]]];
          }),
        ),
      ),
    onInvalid: () => {},
  });
  stream.push(Buffer.from(events.map((event) => `${JSON.stringify(event)}\n`).join('')));
  stream.end();
  return rows;
}

describe('enrichment of a file', () => {
  it('says what the past of an account in the file says', () => {
    const device = (id: string) => ({ payload: { device_id: id } });
    expect(
      seen([login(0, device('d1')), login(61, device('d1')), login(62, device('d2'))], ['days_idle', 'device_is_new']),
    ).toEqual([{}, { days_idle: '61', device_is_new: 'false' }, { days_idle: '1', device_is_new: 'true' }]);
  });

  it('knows places and networks by the databases, and gives rules the country too', () => {
    const from = (ip: string) => ({ network: { ip } });
    const fields = ['geo.speed_kmh', 'network_is_new', 'network.country', 'network.asn'];
    const [first, second, third] = seen(
      [login(0, from('192.0.2.1')), login(0.5, from('2001:db8::1%eth0')), login(1, from('198.51.100.1'))],
      fields,
    );
    expect(first).toMatchObject({ 'network.country': 'DE', 'network.asn': 64_500 });
    expect(first).not.toHaveProperty(['geo.speed_kmh']);
    expect(Number(second?.['geo.speed_kmh'])).toBeGreaterThan(1_000);
    expect(second).toMatchObject({ network_is_new: 'true', 'network.country': 'AU' });
    expect(third).toEqual({});
  });

  it('takes the network that an event of the audit log brings, without a database', () => {
    const from = (asn: number) => ({ network: { ip_hash: 'h', asn } });
    expect(seen([login(0, from(1)), login(1, from(2))], ['network_is_new'])).toEqual([{}, { network_is_new: 'true' }]);
  });

  it('takes out what an event says under these names, and leaves what is not ours alone', () => {
    const claims = { payload: { days_idle: '400', note: 'kept' } };
    expect(seen([login(0, claims), login(3, claims)], ['days_idle', 'note'])).toEqual([
      { note: 'kept' },
      { note: 'kept', days_idle: '3' },
    ]);
    expect(seen([{ event_type: 'auth.login.success', days_idle: '400' }], ['days_idle'])).toEqual([
      { days_idle: '400' },
    ]);
  });
});

it('a file that is no database is named', () => {
  const path = join(tmpdir(), `no-database-${process.pid}.mmdb`);
  writeFileSync(path, 'no');
  try {
    expect(() => openGeoDatabases([path])).toThrow(`--geo-db ${path} is no MaxMind database`);
  } finally {
    rmSync(path);
  }
});
