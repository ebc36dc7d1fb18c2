import { ok, retry, type Verdict } from '@tracehound/event-model';
import { faultPoint } from '@tracehound/lifecycle';
import type { EncodedEvent, ProducedEvent } from '../domain/intake-event.ts';
import { type RetryReason, reject } from '../errors.ts';
import type { EventProducer, ProduceAnswer, RecentEvents } from '../ports.ts';
import { recentId } from './deduplicate.ts';

/**
 * Writes the batch, one send per topic, and is done when Kafka has acknowledged on all in-sync replicas. An event
 * without an acknowledgement is to be sent again by the client under the same id; it may then be in the log twice.
 */
export function createProduceStage(
  producer: EventProducer,
  recent: RecentEvents,
): (events: readonly EncodedEvent[]) => Promise<readonly Verdict<ProducedEvent>[]> {
  return async function produce(events) {
    faultPoint('g:before-produce');
    const verdicts: Verdict<ProducedEvent>[] = new Array(events.length);
    await Promise.all([...byTopic(events)].map(([topic, indexes]) => produceTo(topic, indexes, events, verdicts)));
    faultPoint('g:after-produce');
    recent.remember(
      verdicts.flatMap((verdict, index) => {
        const event = events[index];
        return verdict.kind === 'ok' && event ? [{ id: recentId(event), at: verdict.value.at }] : [];
      }),
    );
    return verdicts;
  };

  async function produceTo(
    topic: string,
    indexes: readonly number[],
    events: readonly EncodedEvent[],
    verdicts: Verdict<ProducedEvent>[],
  ): Promise<void> {
    const chosen = indexes.flatMap((index) => events[index] ?? []);
    const answers = await producer.send(topic, chosen);
    for (const [position, index] of indexes.entries()) {
      const event = events[index];
      const answer = answers[position];
      if (event) verdicts[index] = verdictOf(event, answer ?? { kind: 'unknown', cause: null });
    }
  }
}

function verdictOf(event: EncodedEvent, answer: ProduceAnswer): Verdict<ProducedEvent> {
  switch (answer.kind) {
    case 'acknowledged':
      return ok({ request: event.request, trail: event.trail, eventId: event.eventId, at: answer.at });
    case 'refused':
      return reject('event_too_large', '', 'the broker refuses the record');
    case 'unknown':
      return retry('produce_unknown' satisfies RetryReason, answer.cause);
  }
}

function byTopic(events: readonly EncodedEvent[]): ReadonlyMap<string, readonly number[]> {
  const groups = new Map<string, number[]>();
  for (const [index, event] of events.entries()) {
    const group = groups.get(event.topic);
    if (group) group.push(index);
    else groups.set(event.topic, [index]);
  }
  return groups;
}
