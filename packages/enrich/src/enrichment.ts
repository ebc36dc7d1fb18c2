import type { EnrichableEvent, Enricher } from './enricher.ts';

/** A state to be read, by the name of its enricher, its organization and its key. */
export type StateKey = { readonly id: string; readonly keptMs: number };

/** `before`: what the state was made from; null when there was none. */
export type ChangedState = StateKey & { readonly state: string; readonly before: string | null };

/** All enrichers of a host, over batches of events. */
export type Enrichment = {
  readonly fields: ReadonlySet<string>;
  /** The states a batch needs, each once. */
  keysOf(events: readonly EnrichableEvent[]): readonly StateKey[];
  /**
   * Values per event, and the states that changed. Copies of an event get the values of the first: a state knows the answers it gave
   * last, so the copy of a retry reads the same (X6). `unknown`: indices of events of which an enricher could not tell, because its
   * state cannot be read (it begins anew) or because it threw (its state stays); the other values of the event stand.
   */
  run(
    events: readonly EnrichableEvent[],
    states: ReadonlyMap<string, string>,
  ): {
    readonly values: readonly Readonly<Record<string, string>>[];
    readonly changed: readonly ChangedState[];
    readonly unknown: ReadonlySet<number>;
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
      const changed = new Map<string, ChangedState>();
      const unknown = new Set<number>();

      function valuesOf(
        enricher: Enricher,
        id: string,
        event: EnrichableEvent,
      ): Readonly<Record<string, string>> | null {
        const text = current.get(id);
        const stored = text === undefined ? null : storedOf(text);
        const answered = stored?.a.find(([eventId]) => eventId === event.eventId)?.[1];
        if (answered !== undefined) return answered;
        const isLost = text !== undefined && stored === null;
        const step = enricher.step(stored?.s ?? null, event);
        const values = isLost ? {} : declaredOnly(enricher, step.values);
        if (Object.keys(values).length > 0 || step.state !== stored?.s) {
          const answers = [[event.eventId, values] as const, ...(stored?.a ?? [])].slice(0, ANSWERS_MAX);
          const state = JSON.stringify({ s: step.state, a: answers } satisfies Stored);
          current.set(id, state);
          changed.set(id, { id, keptMs: enricher.keptMs, state, before: states.get(id) ?? null });
        }
        return isLost ? null : values;
      }

      const values = events.map((event, index) => {
        const all: Record<string, string> = {};
        for (const { enricher, id } of keysOfOne(event)) {
          let own: Readonly<Record<string, string>> | null = null;
          try {
            own = valuesOf(enricher, id, event);
          } catch {
            // A module of somebody's own: the other enrichers go on.
          }
          if (own === null) unknown.add(index);
          else Object.assign(all, own);
        }
        return all;
      });
      return { values, changed: [...changed.values()], unknown };
    },
  };
}

/** Null for a text that no enrichment has written. */
function storedOf(text: string): Stored | null {
  try {
    const parsed = JSON.parse(text) as Partial<Stored> | null;
    return typeof parsed?.s === 'string' && Array.isArray(parsed.a) ? (parsed as Stored) : null;
  } catch {
    return null;
  }
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
