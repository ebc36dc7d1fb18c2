/**
 * Enrichers: facts about an event that only its account's past can tell. Pure: state in, state and values out; no I/O, no clock. An
 * enricher is one file (docs/enrichment.md). The gateway runs them once, before an event is in Kafka, so that everything after it is
 * a function of the log; `detect --enrich` runs them over files.
 */
export { BUILT_IN_ENRICHERS } from './built-in.ts';
export { daysIdle } from './days-idle.ts';
export { enrichableOf, withValues } from './enrichable.ts';
export type { EnrichableEvent, Enricher, Place, Step } from './enricher.ts';
export { type ChangedState, createEnrichment, type Enrichment } from './enrichment.ts';
export { newDevice, newNetwork } from './first-seen.ts';
export { type GeoLookup, geoLookup, NO_GEO } from './geo.ts';
export { geoSpeed } from './geo-speed.ts';
export { createEnrichmentWalk, type EnrichmentWalk } from './walk.ts';
