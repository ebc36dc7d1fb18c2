import type { EnrichableEvent, Enricher } from './enricher.ts';
import { createEnrichment } from './enrichment.ts';

/** Enrichers over events in their order, with the states in memory. */
export type EnrichmentWalk = {
  /** Values for the event, by field. A copy of an event gets those of the first. */
  enrich(event: EnrichableEvent): Readonly<Record<string, string>>;
  /** Fields the enrichers write. */
  readonly fields: ReadonlySet<string>;
  /** States held. */
  readonly held: number;
  /** States that were dropped for want of room before their time: their accounts count as never seen. */
  readonly dropped: number;
};

type Held = { readonly state: string; readonly untilMs: number };

/** Events between two looks for states that are forgotten. */
const SWEEP_EVENTS = 65_536;

/**
 * What the gateway does with a store, over a file: time is the newest event time so far, so that a state is forgotten `keptMs` after
 * the event that wrote it last. `statesMax`: states held at once, some 300 bytes each; beyond it the one written longest ago goes.
 */
export function createEnrichmentWalk(
  enrichers: readonly Enricher[],
  { statesMax }: { readonly statesMax: number },
): EnrichmentWalk {
  const enrichment = createEnrichment(enrichers);
  /** In the order in which they were written. */
  const states = new Map<string, Held>();
  let nowMs = Number.NEGATIVE_INFINITY;
  let events = 0;
  let dropped = 0;

  function sweep(): void {
    for (const [id, { untilMs }] of states) if (untilMs <= nowMs) states.delete(id);
  }

  return {
    fields: enrichment.fields,
    get held() {
      return states.size;
    },
    get dropped() {
      return dropped;
    },
    enrich(event) {
      nowMs = Math.max(nowMs, event.timeMs);
      if (++events % SWEEP_EVENTS === 0) sweep();
      const known = new Map<string, string>();
      for (const { id } of enrichment.keysOf([event])) {
        const held = states.get(id);
        if (held !== undefined && held.untilMs > nowMs) known.set(id, held.state);
      }
      const { values, changed } = enrichment.run([event], known);
      for (const { id, keptMs, state } of changed) {
        states.delete(id);
        states.set(id, { state, untilMs: nowMs + keptMs });
      }
      while (states.size > statesMax) {
        const [oldest] = states.keys();
        states.delete(oldest as string); // There is one: there are more than `statesMax`.
        dropped++;
      }
      return values[0] ?? {};
    },
  };
}
