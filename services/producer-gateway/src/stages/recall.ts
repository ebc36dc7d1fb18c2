import { type EnrichableEvent, type Enrichment, withValues } from '@tracehound/enrich';
import { ok, type Verdict } from '@tracehound/event-model';
import type { EnrichedEvent } from '../domain/intake-event.ts';
import type { EnrichmentStates } from '../ports.ts';

/** Flag on events whose past could not be asked for: fields of enrichers are missing, not false. */
const ENRICH_UNKNOWN = 'enrich_unknown';

/**
 * What an account's past says about an event, added to its payload before it is in the log (docs/enrichment.md). One read for the
 * batch and one write after it, not waited for; when the read fails everything goes on, flagged.
 */
export function createRecallStage(options: {
  readonly enrichment: Enrichment;
  readonly states: EnrichmentStates;
  readonly onUnknown?: (error: unknown) => void;
}): (events: readonly EnrichedEvent[]) => Promise<readonly Verdict<EnrichedEvent>[]> {
  const { enrichment, states } = options;
  return async function recall(events) {
    const known = events.flatMap(({ enrichable }) => (enrichable === null ? [] : [enrichable]));
    try {
      const keys = enrichment.keysOf(known);
      if (keys.length === 0) return events.map((event) => ok(event));
      const texts = await states.load(keys.map(({ id }) => id));
      const found = new Map(
        keys.flatMap(({ id }, index) => (texts[index] == null ? [] : [[id, texts[index]] as const])),
      );
      const { values, changed } = enrichment.run(known, found);
      states.save(changed);
      const valuesOf = new Map<EnrichableEvent, Readonly<Record<string, string>>>(
        known.map((event, index) => [event, values[index] ?? {}]),
      );
      return events.map((event) => ok(enriched(event, event.enrichable && valuesOf.get(event.enrichable))));
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
