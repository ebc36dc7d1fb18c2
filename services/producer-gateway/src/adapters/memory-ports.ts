import type { Coordinates } from '../domain/intake-event.ts';
import type { EnrichmentStates, EventProducer, EventToProduce, ProduceAnswer, RecentEvents } from '../ports.ts';

/** One event in a `MemoryTopics` log. */
export type MemoryRecord = EventToProduce & Coordinates;

/** A producer over lists: partition 0 only, offsets from 0. For tests and dry runs of the pipeline without a broker. */
export type MemoryTopics = EventProducer & {
  readonly records: readonly MemoryRecord[];
  /** Decides the fate of the next events by key; default: acknowledged. `lost` = written, but the answer never came. */
  fate: (key: string) => 'acknowledged' | 'refused' | 'unknown' | 'lost';
};

export function createMemoryTopics(): MemoryTopics {
  const records: MemoryRecord[] = [];
  const topics: MemoryTopics = {
    records,
    fate: () => 'acknowledged',
    async send(topic, events) {
      return events.map((event): ProduceAnswer => {
        const fate = topics.fate(event.key);
        if (fate === 'refused') return { kind: 'refused' };
        if (fate === 'unknown') return { kind: 'unknown', cause: new Error('no broker') };
        const offset = String(records.filter((record) => record.topic === topic).length);
        const at = { topic, partition: 0, offset };
        records.push({ ...event, ...at });
        return fate === 'lost' ? { kind: 'unknown', cause: new Error('no answer') } : { kind: 'acknowledged', at };
      });
    },
  };
  return topics;
}

/** Recent events in a map; `down` makes look-ups fail as a Redis that is away. */
export type MemoryRecentEvents = RecentEvents & { down: boolean; readonly lookups: () => number };

export function createMemoryRecentEvents(): MemoryRecentEvents {
  const known = new Map<string, Coordinates>();
  let lookups = 0;
  const recent: MemoryRecentEvents = {
    down: false,
    lookups: () => lookups,
    async lookup(ids) {
      lookups++;
      if (recent.down) throw new Error('redis is away');
      return ids.map((id) => known.get(id) ?? null);
    },
    remember(events) {
      if (!recent.down) for (const { id, at } of events) known.set(id, at);
    },
  };
  return recent;
}

/** States of enrichers in a map; `down` makes reads fail as a Redis that is away. */
export type MemoryEnrichmentStates = EnrichmentStates & { down: boolean; readonly kept: ReadonlyMap<string, string> };

export function createMemoryEnrichmentStates(): MemoryEnrichmentStates {
  const kept = new Map<string, string>();
  const states: MemoryEnrichmentStates = {
    down: false,
    kept,
    async load(ids) {
      if (states.down) throw new Error('redis is away');
      return ids.map((id) => kept.get(id) ?? null);
    },
    async save(changed) {
      if (states.down) throw new Error('redis is away');
      return changed.flatMap(({ id, state, before }) => {
        const now = kept.get(id) ?? null;
        if (now !== before) return [{ id, state: now }];
        kept.set(id, state);
        return [];
      });
    },
  };
  return states;
}
