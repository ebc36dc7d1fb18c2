/** A leaf of an event as rules see it. */
export type Scalar = string | number | boolean | null;

/**
 * How a rule sees an event: dotted names, every name with the list of its values (an array gives each of its
 * elements). `undefined` means the name is absent; `[null]` means present with null; `[]` an empty array.
 */
export type FieldView = {
  values(field: string): readonly Scalar[] | undefined;
  /** Every leaf value of the event, for unbound keywords. Never field names. */
  keywords(): Iterable<Scalar>;
};

/** Log source of an event, or of a rule; null in a rule means "any". Compared without case. */
export type LogSource = {
  readonly product: string | null;
  readonly service: string | null;
  readonly category: string | null;
};

/** Deepest nesting that is read; deeper leaves are not part of the view. */
const DEPTH_MAX = 64;

/**
 * Shows a parsed JSON object under the dotted names of its leaves. An array gives each of its elements under the
 * array's own name, so `target[1].id` is another value of `target.id`. An object or array is itself not a value.
 * The object is flattened at the first look, once.
 */
export function createJsonFieldView(event: Readonly<Record<string, unknown>>): FieldView {
  let flat: Map<string, Scalar[]> | undefined;
  const fields = (): Map<string, Scalar[]> => {
    if (!flat) {
      flat = new Map();
      for (const [name, value] of Object.entries(event)) flatten(flat, name, value, 1);
    }
    return flat;
  };
  return {
    values: (field) => fields().get(field),
    *keywords() {
      for (const values of fields().values()) yield* values;
    },
  };
}

function flatten(into: Map<string, Scalar[]>, name: string, value: unknown, depth: number): void {
  if (depth > DEPTH_MAX || value === undefined) return;
  if (Array.isArray(value)) {
    if (!into.has(name)) into.set(name, []);
    for (const element of value) flatten(into, name, element, depth + 1);
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, inner] of Object.entries(value)) flatten(into, `${name}.${key}`, inner, depth + 1);
  } else {
    const scalar = scalarOf(value);
    if (scalar === undefined) return;
    const known = into.get(name);
    if (known) known.push(scalar);
    else into.set(name, [scalar]);
  }
}

function scalarOf(value: unknown): Scalar | undefined {
  if (value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') {
    return value;
  }
  return typeof value === 'bigint' ? value.toString() : undefined;
}

/** Text of a value as rules compare it: the string itself, JSON text of numbers and booleans, nothing for null. */
export function textOf(value: Scalar): string | undefined {
  if (typeof value === 'string') return value;
  return value === null ? undefined : String(value);
}
