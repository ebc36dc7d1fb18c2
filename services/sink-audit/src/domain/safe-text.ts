import { hash } from 'node:crypto';
import { PROJECTION_FLAGS } from './audit-row.ts';

/** Collects what had to be changed while one record is projected. */
export type ProjectionNotes = { flags: number };

/**
 * Longest indexed text in UTF-8 bytes. A b-tree entry may take 2,704 bytes (a third of a page); the widest index here
 * holds two texts and a time: 2 * 512 + 8.
 */
export const INDEXED_TEXT_BYTES_MAX = 512;

/** Kept of a text that is cut: 512 - 1 - 32 for the separator and the digest that keeps different texts different. */
const CUT_TEXT_BYTES = INDEXED_TEXT_BYTES_MAX - 33;

const NUL = '\u0000';
/** U+2400, the picture of NUL: visible to people, and no text column refuses it. */
const NUL_PICTURE = '\u2400';

/** Text that `text` and `jsonb` accept: PostgreSQL refuses U+0000 in both, and jsonb refuses lone surrogates. */
export function safeText(text: string, notes: ProjectionNotes): string {
  let safe = text;
  if (safe.includes(NUL)) {
    safe = safe.replaceAll(NUL, NUL_PICTURE);
    notes.flags |= PROJECTION_FLAGS.nulReplaced;
  }
  if (!safe.isWellFormed()) {
    safe = safe.toWellFormed();
    notes.flags |= PROJECTION_FLAGS.surrogateReplaced;
  }
  return safe;
}

/** `safeText` for columns with an index: what is too long is cut and ends in `#` and half of its SHA-256. */
export function indexedText(text: string, notes: ProjectionNotes): string {
  const safe = safeText(text, notes);
  // A UTF-16 unit takes 3 bytes of UTF-8 at most, so short texts need no measuring.
  if (safe.length * 3 <= INDEXED_TEXT_BYTES_MAX || Buffer.byteLength(safe) <= INDEXED_TEXT_BYTES_MAX) return safe;
  notes.flags |= PROJECTION_FLAGS.textCut;
  const kept = Buffer.from(safe).subarray(0, CUT_TEXT_BYTES).toString();
  // The cut may lie inside a character, whose rest decodes to U+FFFD (3 bytes for at most 3 cut ones).
  return `${kept.replace(/\uFFFD+$/, '')}#${hash('sha256', safe).slice(0, 32)}`;
}

/** JSON text for a jsonb column. `value` holds finite numbers, texts, booleans, null, arrays and plain objects. */
export function safeJson(value: unknown, notes: ProjectionNotes): string {
  const text = JSON.stringify(value);
  // JSON.stringify writes NUL and lone surrogates as escapes. A harmless text may hold the same characters after an
  // escaped backslash, so this is a filter and the walk below decides.
  if (!text.includes('\\u0000') && !text.includes('\\ud')) return text;
  return JSON.stringify(safeValue(value, notes));
}

function safeValue(value: unknown, notes: ProjectionNotes): unknown {
  if (typeof value === 'string') return safeText(value, notes);
  if (Array.isArray(value)) return value.map((entry) => safeValue(entry, notes));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, entry]) => [safeText(key, notes), safeValue(entry, notes)]),
  );
}

/** From the year 4712 BC, which `timestamptz` begins before, to the last instant of a JavaScript Date (275760). */
const TIME_MIN_MS = Date.UTC(-4711, 0, 1);
const TIME_MAX_MS = 8_640_000_000_000_000;

/** An instant that PostgreSQL can hold and readers can show; far ones are moved to the edge, flagged. */
export function safeTime(atMs: number, notes: ProjectionNotes): number {
  if (atMs >= TIME_MIN_MS && atMs <= TIME_MAX_MS) return atMs;
  notes.flags |= PROJECTION_FLAGS.timeClamped;
  return atMs < TIME_MIN_MS ? TIME_MIN_MS : TIME_MAX_MS;
}
