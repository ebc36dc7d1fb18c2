import type { FieldView, Scalar } from './field-view.ts';

/** Most groups, and most counted values, one event can take part in per rule and step (arrays multiply). */
const COMBINATIONS_MAX = 16;
/** Tag of an absent or null value, in rules with `x-corr.null_group`. */
export const NULL_TAG = '-:';

/**
 * The tuples an event has in the given fields: an array field gives one tuple per distinct element. Empty when a
 * field is absent or null (the event then takes no part and is counted), or when there are more than 16.
 * With `nullGroup` an absent or null field has the null value, and such events share a group.
 */
export function tuplesOf(view: FieldView, fields: readonly string[], nullGroup = false): readonly string[] {
  let tuples: string[][] = [[]];
  for (const field of fields) {
    const tagged = new Set<string>();
    for (const value of view.values(field) ?? []) if (value !== null) tagged.add(tag(value));
    if (tagged.size === 0 && nullGroup) tagged.add(NULL_TAG);
    if (tagged.size === 0 || tagged.size * tuples.length > COMBINATIONS_MAX) return [];
    tuples = tuples.flatMap((tuple) => [...tagged].map((value) => [...tuple, value]));
  }
  return tuples.map((tuple) => JSON.stringify(tuple));
}

/** Values of different types are different groups, and so are values of different case (research/correlation.md 2.3). */
function tag(value: Scalar): string {
  if (value === null) return NULL_TAG;
  if (typeof value === 'string') return `s:${value}`;
  return typeof value === 'number' ? `n:${value}` : `b:${value}`;
}

/** The group key of values in the order of `group-by`; the key events with these values get. */
export function groupKeyOf(values: readonly Scalar[]): string {
  return JSON.stringify(values.map(tag));
}

/** The type-tagged values of a key or tuple. */
export function tagsOf(key: string): readonly string[] {
  const parsed: unknown = JSON.parse(key);
  return Array.isArray(parsed) ? parsed.map(String) : [];
}

/** The value under a tag, as text; null for the null tag. */
export function untagged(tagged: string): string | null {
  return tagged === NULL_TAG ? null : tagged.slice(2);
}

/**
 * The values of a group key without their type tags, in the order of `group-by`; for people and receivers. A null
 * value (rules with `x-corr.null_group`) is the empty text.
 */
export function groupValues(groupKey: string): readonly string[] {
  return tagsOf(groupKey).map((tagged) => untagged(tagged) ?? '');
}

/** First number among the values: numbers, and texts that are one. Undefined when there is none. */
export function numberIn(values: Iterable<Scalar>): number | undefined {
  for (const value of values) {
    if (typeof value === 'number' && Number.isFinite(value)) return value;
    if (typeof value === 'string' && value.trim() !== '' && Number.isFinite(Number(value))) return Number(value);
  }
  return undefined;
}
