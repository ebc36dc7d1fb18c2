import type { FieldView, Scalar } from './field-view.ts';

/** Most groups, and most counted values, one event can take part in per rule and step (arrays multiply). */
const COMBINATIONS_MAX = 16;

/**
 * The tuples an event has in the given fields: an array field gives one tuple per distinct element. Empty when a
 * field is absent or null (the event then takes no part and is counted), or when there are more than 16.
 */
export function tuplesOf(view: FieldView, fields: readonly string[]): readonly string[] {
  let tuples: string[][] = [[]];
  for (const field of fields) {
    const tagged = new Set<string>();
    for (const value of view.values(field) ?? []) if (value !== null) tagged.add(tag(value));
    if (tagged.size === 0 || tagged.size * tuples.length > COMBINATIONS_MAX) return [];
    tuples = tuples.flatMap((tuple) => [...tagged].map((value) => [...tuple, value]));
  }
  return tuples.map((tuple) => JSON.stringify(tuple));
}

/** Values of different types are different groups, and so are values of different case (research/correlation.md 2.3). */
function tag(value: Exclude<Scalar, null>): string {
  if (typeof value === 'string') return `s:${value}`;
  return typeof value === 'number' ? `n:${value}` : `b:${value}`;
}

/** The values of a group key without their type tags, in the order of `group-by`; for people and receivers. */
export function groupValues(groupKey: string): readonly string[] {
  const parsed: unknown = JSON.parse(groupKey);
  return Array.isArray(parsed) ? parsed.map((value) => String(value).slice(2)) : [];
}
