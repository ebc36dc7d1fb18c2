import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import type { ReadEvent } from '@tracehound/detect';
import {
  BUILT_IN_ENRICHERS,
  createEnrichmentWalk,
  type EnrichmentWalk,
  enrichableOf,
  type GeoLookup,
  geoLookup,
  withValues,
} from '@tracehound/enrich';
import { type AsnResponse, type CityResponse, Reader } from 'mmdb-lib';
import { UsageError } from '../usage-error.ts';

type Json = Readonly<Record<string, unknown>>;

export type EventEnricher = {
  /**
   * The event with what the ones before it say, under the names the gateway writes; what it brought under these names is taken out, as
   * there. Third-party events, and those that are not in our intake form, stay as they are.
   */
  enrich(event: Json, read: ReadEvent): Json;
  readonly dropped: EnrichmentWalk['dropped'];
};

/** The built-in enrichers over one file, in its order. `statesMax`: see `createEnrichmentWalk`. */
export function createEventEnricher(options: { readonly geo: GeoLookup; readonly statesMax: number }): EventEnricher {
  const walk = createEnrichmentWalk(Object.values(BUILT_IN_ENRICHERS), options);
  return {
    get dropped() {
      return walk.dropped;
    },
    enrich(event, { id: eventId, timeMs, organization, native }) {
      if (native === null) return event;
      const { envelope, payload } = native;
      const { country, asn, place } = placeOf(envelope.network?.ip ?? null, options.geo);
      const known = {
        eventId,
        eventType: envelope.event_type,
        outcome: envelope.outcome,
        organization,
        timeMs,
        // An actor without an id is nobody.
        actorId: envelope.actor?.id || null,
        asn: asn ?? envelope.network?.asn ?? null,
        place,
      };
      const values = walk.enrich(enrichableOf(known, payload));
      const own = withoutFields(payload, walk.fields);
      const full = withValues(own, values);
      const isPlaced = country !== null || asn !== null;
      if (full === payload && !isPlaced) return event;
      const network = {
        ...(event['network'] as Json | undefined),
        ...(country === null ? {} : { country }),
        ...(asn === null ? {} : { asn }),
      };
      return { ...event, payload: full, ...(isPlaced ? { network } : {}) };
    },
  };
}

/** MaxMind DB files, read once. @throws UsageError for a file that is none. */
export function openGeoDatabases(paths: readonly string[]): GeoLookup {
  return geoLookup(
    paths.map((path) => {
      try {
        return new Reader<CityResponse & AsnResponse>(readFileSync(path));
      } catch (error) {
        throw new UsageError(
          `--geo-db ${path} is no MaxMind database: ${error instanceof Error ? error.message : 'unreadable'}`,
        );
      }
    }),
  );
}

function placeOf(address: string | null, geo: GeoLookup): ReturnType<GeoLookup> {
  // Of an address with a zone, the address: a database knows no zones.
  const plain = address?.replace(/%.*$/, '') ?? '';
  return isIP(plain) === 0 ? { country: null, asn: null, place: null } : geo(plain);
}

function withoutFields(
  payload: Readonly<Record<string, string>>,
  fields: ReadonlySet<string>,
): Readonly<Record<string, string>> {
  if (!Object.keys(payload).some((name) => fields.has(name))) return payload;
  return Object.fromEntries(Object.entries(payload).filter(([name]) => !fields.has(name)));
}
