import { readFileSync } from 'node:fs';
import { ConfigError } from '@tracehound/config';
import { type GeoLookup, geoLookup } from '@tracehound/enrich';
import { type AsnResponse, type CityResponse, Reader } from 'mmdb-lib';

/**
 * MaxMind DB files (GeoLite2 or GeoIP2 City and ASN, or others of that form), read once. What one file does not know another may.
 * @throws ConfigError for a file that is none.
 */
export function openGeoDatabases(paths: readonly string[]): GeoLookup {
  const readers = paths.map((path) => {
    try {
      return new Reader<CityResponse & AsnResponse>(readFileSync(path));
    } catch (cause) {
      const problem = `${path} is no MaxMind database: ${cause instanceof Error ? cause.message : 'unreadable'}`;
      const allowed = 'paths of MaxMind DB files';
      throw new ConfigError([{ key: 'TRACEHOUND_GATEWAY_GEOIP_DB_FILES', problem, allowed }]);
    }
  });
  return geoLookup(readers);
}
