import { type FieldPath, type FieldView, isList, type Scalar } from './field-view.ts';

/** Most groups, and most counted values, one event can take part in per rule and step (arrays multiply). */
const COMBINATIONS_MAX = 16;
/** Tag of an absent or null value, in rules with `x-corr.null_group`. */
export const NULL_TAG = '-:';

/**
 * The tuples an event has in the given fields: an array field gives one tuple per distinct element. Empty when a
 * field is absent or null (the event then takes no part and is counted), or when there are more than 16.
 * With `nullGroup` an absent or null field has the null value, and such events share a group.
 */
export function tuplesOf(view: FieldView, fields: readonly FieldPath[], nullGroup = false): readonly string[] {
  const single = singleTuple(view, fields, nullGroup);
  if (single !== undefined) return single === null ? NO_TUPLES : [single];
  let tuples: string[][] = [[]];
  for (const { name } of fields) {
    const tagged = new Set<string>();
    for (const value of view.values(name) ?? []) if (value !== null) tagged.add(tag(value));
    if (tagged.size === 0 && nullGroup) tagged.add(NULL_TAG);
    if (tagged.size === 0 || tagged.size * tuples.length > COMBINATIONS_MAX) return [];
    tuples = tuples.flatMap((tuple) => [...tagged].map((value) => [...tuple, value]));
  }
  return tuples.map((tuple) => JSON.stringify(tuple));
}

const NO_TUPLES: readonly string[] = [];

/** The one tuple of fields with one value each, as almost all have; null for none, undefined when a field is a list. */
function singleTuple(view: FieldView, fields: readonly FieldPath[], nullGroup: boolean): string | null | undefined {
  if (!view.lookup) return undefined;
  let tuple = '[';
  let isNone = false;
  for (let i = 0; i < fields.length; i++) {
    const found = view.lookup(fields[i] as FieldPath);
    if (found === undefined || found === null) {
      if (!nullGroup) isNone = true;
      tuple += i === 0 ? `"${NULL_TAG}"` : `,"${NULL_TAG}"`;
    } else if (isList(found)) return undefined;
    else tuple += i === 0 ? quoted(found) : `,${quoted(found)}`;
  }
  return isNone ? null : `${tuple}]`;
}

/** The tagged value as JSON; most texts need no escapes. */
function quoted(value: Scalar): string {
  const tagged = tag(value);
  return NEEDS_ESCAPE.test(tagged) ? JSON.stringify(tagged) : `"${tagged}"`;
}
// oxlint-disable-next-line no-control-regex -- JSON escapes exactly these.
const NEEDS_ESCAPE = /["\\\u0000-\u001f\ud800-\udfff]/;

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
