import type { Place } from '@tracehound/enrich';

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
