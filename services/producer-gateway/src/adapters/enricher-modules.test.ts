import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError } from '@tracehound/config';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadEnrichers } from './enricher-modules.ts';
import { openGeoDatabases } from './geo-database.ts';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tracehound-enrichers-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('enrichers', () => {
  it('are found by name, and by the path of a module', async () => {
    const path = join(folder, 'logins.mjs');
    const text = `export default { name: 'logins-1', fields: ['logins'], keptMs: 1, keyOf: (e) => e.actorId, step: (s) => ({ state: String(Number(s ?? 0) + 1), values: { logins: String(Number(s ?? 0) + 1) } }) };\n`;
    writeFileSync(path, text);
    const found = await loadEnrichers(['days-idle', path]);
    expect(found.map(({ fields }) => fields)).toEqual([['days_idle'], ['logins']]);
  });

  it('that are none are refused with what would be', async () => {
    const path = join(folder, 'wrong.mjs');
    writeFileSync(path, 'export default 7;\n');
    const refused = { problems: [{ key: 'TRACEHOUND_GATEWAY_ENRICHERS' }] };
    await expect(loadEnrichers([path])).rejects.toMatchObject(refused);
    await expect(loadEnrichers(['idle-days'])).rejects.toMatchObject(refused);
  });
});

describe('geo databases', () => {
  it('know nothing when there are none; a file that is none is refused', () => {
    expect(openGeoDatabases([])('192.0.2.1')).toEqual({ country: null, asn: null, place: null });
    const path = join(folder, 'none.mmdb');
    writeFileSync(path, 'not a database');
    expect(() => openGeoDatabases([path])).toThrow(ConfigError);
  });
});
