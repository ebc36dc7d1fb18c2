/**
 * Enrichers: facts about an event that only its account's past can tell. Pure: state in, state and values out; no I/O, no clock. An
 * enricher is one file (docs/enrichment.md). The gateway runs them once, before an event is in Kafka, so that everything after it is
 * a function of the log.
 */
export { daysIdle } from './days-idle.ts';
export type { EnrichableEvent, Enricher, Place, Step } from './enricher.ts';
export { createEnrichment, type Enrichment } from './enrichment.ts';
export { newDevice, newNetwork } from './first-seen.ts';
export { geoSpeed } from './geo-speed.ts';
