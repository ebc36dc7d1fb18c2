/** A parsed line, or why it is no event. */
export type JsonLine =
  | { readonly kind: 'event'; readonly event: Readonly<Record<string, unknown>> }
  | { readonly kind: 'blank' }
  | { readonly kind: 'invalid'; readonly reason: string };

const BLANK: JsonLine = { kind: 'blank' };

/**
 * One line of NDJSON. A byte order mark is dropped. Integers beyond 2^53 keep their digits, as text, so that they compare as
 * they are written; `longDigits` false: there are none. Nothing of the line is in the reason: it may hold secrets.
 */
export function parseJsonLine(line: string, longDigits = true): JsonLine {
  const text = line.charCodeAt(0) === 0xfeff ? line.slice(1) : line;
  let value: unknown;
  try {
    value = longDigits ? JSON.parse(text, keepDigits) : JSON.parse(text);
  } catch {
    if (text.trim() === '') return BLANK;
    return { kind: 'invalid', reason: 'not valid JSON' };
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return { kind: 'invalid', reason: 'not a JSON object' };
  }
  // JSON.parse gives plain data: an object here has string keys and JSON values.
  return { kind: 'event', event: value as Readonly<Record<string, unknown>> };
}

/** ECMAScript 2026, JSON.parse source text access; the library types do not know the third argument of a reviver yet. */
const keepDigits = ((_key: string, value: unknown, context: { readonly source?: string }): unknown =>
  typeof value === 'number' && !Number.isSafeInteger(value) && /^-?\d+$/.test(context.source ?? '')
    ? context.source
    : value) as (key: string, value: unknown) => unknown;
