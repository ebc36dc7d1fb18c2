import { readFileSync } from 'node:fs';
import { ConfigError } from '@tracehound/config';
import { type AsnResponse, type CityResponse, Reader } from 'mmdb-lib';
import { type GeoLookup, NO_GEO } from '../domain/geo.ts';

/**
 * MaxMind DB files (GeoLite2 or GeoIP2 City and ASN, or others of that form), read once. What one file does not know another may.
 * @throws ConfigError for a file that is none.
 */
export function openGeoDatabases(paths: readonly string[]): GeoLookup {
  if (paths.length === 0) return NO_GEO;
  const readers = paths.map((path) => {
    try {
      return new Reader<CityResponse & AsnResponse>(readFileSync(path));
    } catch (cause) {
      const problem = `${path} is no MaxMind database: ${cause instanceof Error ? cause.message : 'unreadable'}`;
      const allowed = 'paths of MaxMind DB files';
      throw new ConfigError([{ key: 'TRACEHOUND_GATEWAY_GEOIP_DB_FILES', problem, allowed }]);
    }
  });
  return (address) => {
    let [country, asn, place] = [null as string | null, null as number | null, null as ReturnType<GeoLookup>['place']];
    for (const reader of readers) {
      const found = reader.get(address);
      if (found === null) continue;
      country ??= found.country?.iso_code ?? null;
      asn ??= found.autonomous_system_number ?? null;
      const { latitude, longitude } = found.location ?? {};
      if (latitude !== undefined && longitude !== undefined) place ??= { latitude, longitude };
    }
    return { country, asn, place };
  };
}
