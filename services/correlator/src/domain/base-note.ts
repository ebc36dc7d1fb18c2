import type { LogMark } from '@tracehound/correlation';

/** What is said of a base beside its offset. */
export type BaseNote = {
  /** The log that the base is an offset of: a topic made anew under its name is another. */
  readonly topicId: string;
  readonly rebuildFrom: LogMark | null;
};

const VERSION = 'v1';
const WHOLE_LOG = '-';

/** The text that is committed with a base: some 60 characters, for a person to read too. */
export function encodeBaseNote({ topicId, rebuildFrom }: BaseNote): string {
  const from = rebuildFrom === null ? WHOLE_LOG : `${rebuildFrom.offset}@${rebuildFrom.reachMs}`;
  return `${VERSION} ${topicId} ${from}`;
}

/** Null when there is none, or another release or tool has written it. */
export function decodeBaseNote(note: string | undefined): BaseNote | null {
  const [version, topicId, from, ...rest] = (note ?? '').split(' ');
  if (version !== VERSION || !topicId || from === undefined || rest.length > 0) return null;
  if (from === WHOLE_LOG) return { topicId, rebuildFrom: null };
  const [, offset, reachMs] = /^(\d{1,15})@(\d{1,16})$/.exec(from) ?? [];
  if (offset === undefined || reachMs === undefined) return null;
  return { topicId, rebuildFrom: { offset: Number(offset), reachMs: Number(reachMs) } };
}
