/** A parsed line, or why it is no event. */
export type JsonLine =
  | { readonly kind: 'event'; readonly event: Readonly<Record<string, unknown>> }
  | { readonly kind: 'blank' }
  | { readonly kind: 'invalid'; readonly reason: string };

const BLANK: JsonLine = { kind: 'blank' };

/** So many digits in a row may be a number that a double cannot hold. */
const LONG_DIGITS = 16;

/** A run of 16 digits lies over a multiple of 16: only there is looked, which beats a pattern. */
function hasLongDigits(text: string): boolean {
  for (let at = 0; at < text.length; at += LONG_DIGITS) {
    if (!isDigit(text.charCodeAt(at))) continue;
    let from = at;
    while (from > 0 && isDigit(text.charCodeAt(from - 1))) from--;
    let to = at + 1;
    while (to < text.length && isDigit(text.charCodeAt(to))) to++;
    if (to - from >= LONG_DIGITS) return true;
  }
  return false;
}

function isDigit(code: number): boolean {
  return code >= 48 && code <= 57;
}

/**
 * One line of NDJSON. Broken UTF-8 becomes U+FFFD, a byte order mark is dropped. Integers beyond 2^53 keep their digits,
 * as text, so that they compare as they are written. Nothing of the line is in the reason: it may hold secrets.
 */
export function parseJsonLine(buffer: Buffer, from: number, to: number): JsonLine {
  let text = buffer.toString('utf8', from, to);
  if (text.charCodeAt(0) === 0xfeff) text = text.slice(1);
  let value: unknown;
  try {
    value = hasLongDigits(text) ? JSON.parse(text, keepDigits) : JSON.parse(text);
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
