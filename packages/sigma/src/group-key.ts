import { type FieldPath, type FieldView, isList, type Scalar } from './field-view.ts';
import { ValueMemory } from './match/value-memory.ts';

/** Most groups, and most counted values, one event can take part in per rule and step (arrays multiply). */
const COMBINATIONS_MAX = 16;
/** Tag of an absent or null value, in rules with `x-corr.null_group`. */
export const NULL_TAG = '-:';

/** Texts of one field whose tuples are remembered: two megabytes at most. */
const REMEMBERED = 8_192;

/**
 * The tuples events have in the given fields: an array field gives one tuple per distinct element. None when a field is
 * absent or null (the event then takes no part and is counted), or when there are more than 16. With `nullGroup` an
 * absent or null field has the null value, and such events share a group.
 *
 * Tuples of single texts come from a memory, so that whoever keeps groups by them mostly meets the same string again.
 */
export class TupleReader {
  private readonly fields: readonly FieldPath[];
  private readonly nullGroup: boolean;
  private readonly memory: ValueMemory<RememberedTuple>;
  private event = 0;
  private tuples: readonly string[] = NO_TUPLES;

  constructor(fields: readonly FieldPath[], nullGroup: boolean) {
    this.fields = fields;
    this.nullGroup = nullGroup;
    this.memory = new ValueMemory(fields.length === 1 ? REMEMBERED : 0);
  }

  /** Made once for all who ask of the same event, told by a number that is never 0. */
  read(view: FieldView, event: number): readonly string[] {
    if (this.event !== event) {
      this.event = event;
      this.tuples = this.make(view);
    }
    return this.tuples;
  }

  private make(view: FieldView): readonly string[] {
    const { fields } = this;
    if (!view.lookup) return this.combine(view);
    if (fields.length === 1) {
      const found = view.lookup(fields[0] as FieldPath);
      if (typeof found === 'string') return this.tupleOf(found);
    }
    const single = singleTuple(view, fields, this.nullGroup);
    return single === undefined ? this.combine(view) : single === null ? NO_TUPLES : [single];
  }

  private tupleOf(text: string): readonly string[] {
    const { memory } = this;
    if (!memory.takes(text)) return [tupleOfText(text)];
    let note = memory.find(text);
    if (note === undefined) {
      note = { text, tuples: [tupleOfText(text)] };
      memory.keep(note);
    }
    return note.tuples;
  }

  private combine(view: FieldView): readonly string[] {
    let tuples: string[][] = [[]];
    for (const { name } of this.fields) {
      const tagged = new Set<string>();
      for (const value of view.values(name) ?? []) if (value !== null) tagged.add(tag(value));
      if (tagged.size === 0 && this.nullGroup) tagged.add(NULL_TAG);
      if (tagged.size === 0 || tagged.size * tuples.length > COMBINATIONS_MAX) return NO_TUPLES;
      tuples = tuples.flatMap((tuple) => [...tagged].map((value) => [...tuple, value]));
    }
    return tuples.map((tuple) => JSON.stringify(tuple));
  }
}

const NO_TUPLES: readonly string[] = [];
type RememberedTuple = { readonly text: string; readonly tuples: readonly string[] };

/** The one tuple of fields with one value each, as almost all have; null for none, undefined when a field is a list. */
function singleTuple(view: FieldView, fields: readonly FieldPath[], nullGroup: boolean): string | null | undefined {
  const pieces = ['['];
  let isNone = false;
  for (let i = 0; i < fields.length; i++) {
    const found = view.lookup?.(fields[i] as FieldPath);
    if (found !== undefined && isList(found)) return undefined;
    if ((found === undefined || found === null) && !nullGroup) isNone = true;
    if (i > 0) pieces.push(',');
    pieces.push(quoted(found ?? null));
  }
  pieces.push(']');
  // Joined, so that the text is one piece: as a sum of pieces it would be put together again at each look-up.
  return isNone ? null : pieces.join('');
}

function tupleOfText(text: string): string {
  return NEEDS_ESCAPE.test(text) ? JSON.stringify([tag(text)]) : ['["s:', text, '"]'].join('');
}

/** The tagged value as JSON; most texts need no escapes. */
function quoted(value: Scalar): string {
  if (typeof value !== 'string' || NEEDS_ESCAPE.test(value)) return JSON.stringify(tag(value));
  return ['"s:', value, '"'].join('');
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
