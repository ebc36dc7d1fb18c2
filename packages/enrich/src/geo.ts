import type { Place } from './enricher.ts';

/** What a geo database says of an address. */
export type GeoLookup = (address: string) => {
  /** ISO 3166-1 alpha-2. */
  readonly country: string | null;
  readonly asn: number | null;
  readonly place: Place | null;
};

const NOWHERE = { country: null, asn: null, place: null };

/** Without a database nothing is known, and nothing is guessed. */
export const NO_GEO: GeoLookup = () => NOWHERE;

/** A record of a MaxMind DB of cities or networks, as far as we read it. */
export type GeoRecord = {
  readonly country?: { readonly iso_code?: string };
  readonly autonomous_system_number?: number;
  readonly location?: { readonly latitude?: number; readonly longitude?: number };
};

/** Asks several databases: what one does not know another may. */
export function geoLookup(databases: readonly { get(address: string): GeoRecord | null }[]): GeoLookup {
  if (databases.length === 0) return NO_GEO;
  return (address) => {
    let [country, asn, place] = [null as string | null, null as number | null, null as Place | null];
    for (const database of databases) {
      const found = database.get(address);
      if (found === null) continue;
      country ??= found.country?.iso_code ?? null;
      asn ??= found.autonomous_system_number ?? null;
      const { latitude, longitude } = found.location ?? {};
      if (latitude !== undefined && longitude !== undefined) place ??= { latitude, longitude };
    }
    return { country, asn, place };
  };
}
