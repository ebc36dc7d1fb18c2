/** Header of a record that carries time and no event (X4). */
const MARKER_HEADER = 'th_marker';
/** Names the topic the marker was written to, so that its copies in topics that mirror it can be told. */
const MARKER_TOPIC_HEADER = 'th_marker_topic';

/** What stage A writes into an idle source partition, and what closes a source for good (X4). */
export type MarkerKind = 'idle' | 'end_of_input';

/** Header values as read from the log, or as they are written. */
type Headers = Readonly<Record<string, { toString(): string } | undefined>>;

/** Headers of a marker record for that topic; it has no key and no value. */
export function markerHeaders(kind: MarkerKind, topic: string): Readonly<Record<string, string>> {
  return { [MARKER_HEADER]: kind, [MARKER_TOPIC_HEADER]: topic };
}

/**
 * The kind of a marker; null for every other record, `unknown` for a kind of a newer build. The end of an input ends the topic it
 * was written to: its copy in a topic that mirrors it is `idle`, since what the mirror still carries may follow in other partitions.
 */
export function markerKindOf(record: {
  readonly topic: string;
  readonly headers: Headers;
}): MarkerKind | 'unknown' | null {
  const kind = record.headers[MARKER_HEADER]?.toString();
  if (kind === undefined) return null;
  if (kind === 'idle') return kind;
  if (kind !== 'end_of_input') return 'unknown';
  // Markers of builds that named no topic count where they are.
  const topic = record.headers[MARKER_TOPIC_HEADER]?.toString() ?? record.topic;
  return topic === record.topic ? kind : 'idle';
}

/** Whether this deployment wrote the record itself, as a marker: what a mirrored topic has besides comes through the mirror. */
export function isOwnMarker(record: { readonly topic: string; readonly headers: Headers }): boolean {
  return record.headers[MARKER_TOPIC_HEADER]?.toString() === record.topic;
}
