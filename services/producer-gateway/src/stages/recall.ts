import { setTimeout as delay } from 'node:timers/promises';
import { type ChangedState, type EnrichableEvent, type Enrichment, withValues } from '@tracehound/enrich';
import { ok, type Verdict } from '@tracehound/event-model';
import type { EnrichedEvent } from '../domain/intake-event.ts';
import type { EnrichmentStates } from '../ports.ts';

/** Tries to write states that other gateways write too. */
const SAVES_MAX = 20;
/** Longest pause before the n-th try, times n: writers of one state step out of each other's way. */
const SAVE_PAUSE_MS = 5;

/** Flag on events whose past could not be asked for: fields of enrichers are missing, not false. */
const ENRICH_UNKNOWN = 'enrich_unknown';

/**
 * What an account's past says about an event, added to its payload before it is in the log (docs/enrichment.md). One read for the
 * batch and one write after it, not waited for; when the read fails everything goes on, flagged. A state that another gateway has
 * written meanwhile takes the events of this batch too: what was said of them stays, what is said next knows of both.
 */
export function createRecallStage(options: {
  readonly enrichment: Enrichment;
  readonly states: EnrichmentStates;
  readonly onUnknown?: (error: unknown) => void;
  /** A write whose outcome is not known, or that met other writers too often: the account's past may lack events of a batch. */
  readonly onForgotten?: (error: unknown) => void;
}): (events: readonly EnrichedEvent[]) => Promise<readonly Verdict<EnrichedEvent>[]> {
  const { enrichment, states } = options;

  async function remember(events: readonly EnrichableEvent[], first: readonly ChangedState[]): Promise<void> {
    let changed = first;
    for (let attempt = 1; changed.length > 0; attempt++) {
      const others = await states.save(changed);
      if (others.length === 0) return;
      if (attempt === SAVES_MAX) throw new Error(`${others.length} states met other writers ${SAVES_MAX} times`);
      await delay(Math.random() * SAVE_PAUSE_MS * attempt);
      const ids = new Set(others.map(({ id }) => id));
      const current = new Map(others.flatMap(({ id, state }) => (state === null ? [] : [[id, state] as const])));
      changed = enrichment.run(events, current).changed.filter(({ id }) => ids.has(id));
    }
  }

  return async function recall(events) {
    const known = events.flatMap(({ enrichable }) => (enrichable === null ? [] : [enrichable]));
    try {
      const keys = enrichment.keysOf(known);
      if (keys.length === 0) return events.map((event) => ok(event));
      const texts = await states.load(keys.map(({ id }) => id));
      const found = new Map(
        keys.flatMap(({ id }, index) => (texts[index] == null ? [] : [[id, texts[index]] as const])),
      );
      const { values, changed, unknown } = enrichment.run(known, found);
      remember(known, changed).catch((error: unknown) => options.onForgotten?.(error));
      if (unknown.size > 0) options.onUnknown?.(new Error(`enrichers could not tell of ${unknown.size} events`));
      const indexOf = new Map<EnrichableEvent, number>(known.map((event, index) => [event, index]));
      return events.map((event) => {
        const index = event.enrichable === null ? undefined : indexOf.get(event.enrichable);
        if (index === undefined) return ok(event);
        const told = enriched(event, values[index]);
        return ok(unknown.has(index) ? flagged(told) : told);
      });
    } catch (error) {
      options.onUnknown?.(error);
      return events.map((event) => ok(event.enrichable === null ? event : flagged(event)));
    }
  };
}

function enriched(event: EnrichedEvent, values: Readonly<Record<string, string>> | null | undefined): EnrichedEvent {
  if (!values || !('payload' in event.record)) return event;
  const { payload: sent = {} } = event.record;
  const payload = withValues(sent, values);
  return payload === sent ? event : { ...event, record: { ...event.record, payload } };
}

function flagged(event: EnrichedEvent): EnrichedEvent {
  const { envelope } = event.record;
  return {
    ...event,
    record: { ...event.record, envelope: { ...envelope, flags: [...(envelope.flags ?? []), ENRICH_UNKNOWN] } },
  };
}
