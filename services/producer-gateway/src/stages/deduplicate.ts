import { ok, redirect, type Verdict } from '@tracehound/event-model';
import type { EnrichedEvent } from '../domain/intake-event.ts';
import type { RecentEvents } from '../ports.ts';

/** Lane of events that were acknowledged before; the value of the redirect are their coordinates. */
export const DUPLICATE_LANE = 'duplicate';

/** Flag on events whose duplicate check could not be made; consumers deduplicate by event id in any case (X6). */
const DEDUP_UNKNOWN = 'dedup_unknown';

/**
 * Answers `duplicate` for events that were acknowledged within the last minutes. One look-up for the batch; when it
 * fails everything goes on, flagged. An event still on its way elsewhere is not a duplicate: it is produced again (X6).
 */
export function createDeduplicateStage(
  recent: RecentEvents,
  onUnknown: (error: unknown) => void = () => undefined,
): (events: readonly EnrichedEvent[]) => Promise<readonly Verdict<EnrichedEvent>[]> {
  return async function deduplicate(events) {
    try {
      const known = await recent.lookup(events.map(recentId));
      return events.map((event, index) => {
        const at = known[index] ?? null;
        return at === null ? ok(event) : redirect('duplicate', DUPLICATE_LANE, at);
      });
    } catch (error) {
      onUnknown(error);
      return events.map((event) => ok(flagged(event)));
    }
  };
}

/** Ids are only compared within one organization: another tenant's id must neither hide an event nor be probed. */
export function recentId(event: { readonly intakeOrg: string; readonly eventId: string }): string {
  return `${event.intakeOrg}|${event.eventId}`;
}

function flagged(event: EnrichedEvent): EnrichedEvent {
  event.trail.dedup = 'unknown';
  const { envelope } = event.record;
  return {
    ...event,
    record: { ...event.record, envelope: { ...envelope, flags: [...(envelope.flags ?? []), DEDUP_UNKNOWN] } },
  };
}
