import { compareHits } from '../hit.ts';
import type { FirmHit } from './machine-types.ts';

/** All hits of one event: one id at one time (semantics section 6 takes them together). */
export type FirmEvent = {
  readonly timeMs: number;
  readonly id: string;
  /** In the order of step, then value. */
  readonly hits: readonly FirmHit[];
};

/** Events in total order, of hits in total order. */
export function eventsOf(hits: readonly FirmHit[]): FirmEvent[] {
  const events: { timeMs: number; id: string; hits: FirmHit[] }[] = [];
  for (const hit of hits) {
    const last = events.at(-1);
    if (last?.id === hit.id && last.timeMs === hit.timeMs) last.hits.push(hit);
    else events.push({ timeMs: hit.timeMs, id: hit.id, hits: [hit] });
  }
  return events;
}

/** The number of an event: rules over numbers have one hit per event. */
export function numberOf(event: FirmEvent): number {
  return event.hits[0]?.number ?? 0;
}

/** Sorted ids, each once: what a record names. */
export function sortedIds(hits: readonly FirmHit[]): string[] {
  return [...new Set(hits.map(({ id }) => id))].sort();
}

/** Hits in total order. */
export function inTotalOrder(hits: readonly FirmHit[]): FirmHit[] {
  return [...hits].sort(compareHits);
}
