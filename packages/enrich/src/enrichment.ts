import type { EnrichableEvent, Enricher } from './enricher.ts';

/** A state to be read, by the name of its enricher, its organization and its key. */
export type StateKey = { readonly id: string; readonly keptMs: number };

/** All enrichers of a host, over batches of events. */
export type Enrichment = {
  readonly fields: ReadonlySet<string>;
  /** The states a batch needs, each once. */
  keysOf(events: readonly EnrichableEvent[]): readonly StateKey[];
  /**
   * Values per event, and the states that changed. Copies of an event get the values of the first: a state knows the answers it gave
   * last, so the copy of a retry reads the same (X6).
   */
  run(
    events: readonly EnrichableEvent[],
    states: ReadonlyMap<string, string>,
  ): {
    readonly values: readonly Readonly<Record<string, string>>[];
    readonly changed: readonly (StateKey & { readonly state: string })[];
  };
};

/** Answers kept in a state: more copies of one account's events are not on their way at once. */
const ANSWERS_MAX = 6;

type Stored = {
  readonly s: string;
  readonly a: readonly (readonly [eventId: string, values: Readonly<Record<string, string>>])[];
};

/** @throws RangeError when two enrichers write one field or share a name. */
export function createEnrichment(enrichers: readonly Enricher[]): Enrichment {
  const fields = new Set<string>();
  const names = new Set<string>();
  for (const { name, fields: own } of enrichers) {
    if (names.has(name)) throw new RangeError(`two enrichers are called ${name}`);
    names.add(name);
    for (const field of own) {
      if (fields.has(field)) throw new RangeError(`two enrichers write the field ${field}`);
      fields.add(field);
    }
  }
  const keysOfOne = (event: EnrichableEvent) =>
    enrichers.flatMap((enricher) => {
      const key = enricher.keyOf(event);
      return key === null ? [] : [{ enricher, id: `${enricher.name}:${event.organization}|${key}` }];
    });

  return {
    fields,
    keysOf(events) {
      const wanted = new Map<string, StateKey>();
      for (const event of events) {
        for (const { enricher, id } of keysOfOne(event)) wanted.set(id, { id, keptMs: enricher.keptMs });
      }
      return [...wanted.values()];
    },
    run(events, states) {
      const current = new Map(states);
      const changed = new Map<string, StateKey & { readonly state: string }>();
      const values = events.map((event) => {
        const all: Record<string, string> = {};
        for (const { enricher, id } of keysOfOne(event)) {
          const text = current.get(id);
          const stored = text === undefined ? null : (JSON.parse(text) as Stored);
          const answered = stored?.a.find(([eventId]) => eventId === event.eventId)?.[1];
          if (answered !== undefined) {
            Object.assign(all, answered);
            continue;
          }
          const step = enricher.step(stored?.s ?? null, event);
          const values = declaredOnly(enricher, step.values);
          Object.assign(all, values);
          const hasAnswer = Object.keys(values).length > 0;
          if (!hasAnswer && step.state === stored?.s) continue;
          const answers = [[event.eventId, values] as const, ...(stored?.a ?? [])].slice(0, ANSWERS_MAX);
          const state = JSON.stringify({ s: step.state, a: answers } satisfies Stored);
          current.set(id, state);
          changed.set(id, { id, keptMs: enricher.keptMs, state });
        }
        return all;
      });
      return { values, changed: [...changed.values()] };
    },
  };
}

/** A module of somebody's own may answer anything; what is written is text, under the names it has declared. */
function declaredOnly(
  { fields }: Enricher,
  values: Readonly<Record<string, unknown>>,
): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(values).flatMap(([name, value]) => (fields.includes(name) ? [[name, String(value)]] : [])),
  );
}
