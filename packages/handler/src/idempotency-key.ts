import type { HandlerTopic } from './handler.ts';

/** What names a record whatever its offset; records without an identity of their own are named by their place. */
export function idempotencyKeyOf(
  value: object,
  place: { readonly topic: HandlerTopic; readonly partition: number; readonly offset: bigint },
): string {
  const { alert_id, revision, detection_id, delivery_id, attempt, event_id, envelope, action, at } = value as Readonly<
    Record<string, unknown>
  >;
  if (delivery_id !== undefined) return `${delivery_id}:${attempt}`;
  if (alert_id !== undefined && revision !== undefined) return `${alert_id}:${revision}`;
  if (alert_id !== undefined && action !== undefined) return `${alert_id}:${action}:${at}`;
  if (detection_id !== undefined) return String(detection_id);
  if (typeof envelope === 'object' && envelope !== null && 'event_id' in envelope) return String(envelope.event_id);
  if (event_id !== undefined) return String(event_id);
  return `${place.topic}/${place.partition}/${place.offset}`;
}
