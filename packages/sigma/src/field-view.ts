/** A leaf of an event as rules see it. */
export type Scalar = string | number | boolean | null;

/**
 * How a rule sees an event: dotted names, every name with the list of its values (an array gives each of its
 * elements). `undefined` means the name is absent; `[null]` means present with null; `[]` an empty array.
 */
export type FieldView = {
  values(field: string): readonly Scalar[] | undefined;
  /**
   * As `values`, but a field with one value may give it bare, without a list: the way of the compiled matcher, which
   * must not allocate per look. Optional; a view without it is read through `values`.
   */
  lookup?(field: string): Scalar | readonly Scalar[] | undefined;
  /** Every leaf value of the event, for unbound keywords. Never field names. */
  keywords(): Iterable<Scalar>;
  /** As `keywords`, in any order, without a list or an iterator per event. Optional. */
  forEachLeaf?(visit: (value: Scalar) => void): void;
  /**
   * Keys at the top of the event: every name that `values` knows is one of them, or one with a dot and more after it.
   * Lets a matcher with rules over many fields look only at those the event has. Optional.
   */
  forEachKey?(visit: (key: string) => void): void;
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
 * Only what is asked for is walked. The object is flattened, once, for keywords and for names that lie in it in more
 * than one way (arrays of objects; `{"a.b": 1, "a": {"b": 2}}`), so that order and members are the same in every case.
 */
export function createJsonFieldView(event: Readonly<Record<string, unknown>>): FieldView {
  return new JsonFieldView(event);
}

/** A class, so that a view is one small object per event. */
class JsonFieldView implements FieldView {
  readonly #event: Readonly<Record<string, unknown>>;
  #flat: Map<string, Scalar[]> | undefined;

  constructor(event: Readonly<Record<string, unknown>>) {
    this.#event = event;
  }

  lookup(field: string): Scalar | readonly Scalar[] | undefined {
    if (this.#flat) return this.#flat.get(field);
    const found = walk(this.#event, field, 1);
    return found === MANY ? this.#flattened().get(field) : found;
  }

  values(field: string): readonly Scalar[] | undefined {
    const found = this.lookup(field);
    return found === undefined || isList(found) ? found : [found];
  }

  *keywords(): Iterable<Scalar> {
    for (const values of this.#flattened().values()) yield* values;
  }

  forEachLeaf(visit: (value: Scalar) => void): void {
    for (const key in this.#event) if (Object.hasOwn(this.#event, key)) visitLeaves(this.#event[key], visit, 1);
  }

  forEachKey(visit: (key: string) => void): void {
    for (const key in this.#event) visit(key);
  }

  #flattened(): Map<string, Scalar[]> {
    if (!this.#flat) {
      this.#flat = new Map();
      for (const [name, value] of Object.entries(this.#event)) flatten(this.#flat, name, value, 1);
    }
    return this.#flat;
  }
}

function visitLeaves(value: unknown, visit: (value: Scalar) => void, depth: number): void {
  if (depth > DEPTH_MAX) return;
  if (typeof value === 'string') visit(value);
  else if (Array.isArray(value)) for (const element of value) visitLeaves(element, visit, depth + 1);
  else if (typeof value === 'object' && value !== null) {
    const container = value as Readonly<Record<string, unknown>>;
    for (const key in container) if (Object.hasOwn(container, key)) visitLeaves(container[key], visit, depth + 1);
  } else {
    const scalar = scalarOf(value);
    if (scalar !== undefined) visit(scalar);
  }
}

/** The name may have several values, or lie in several places: only flattening tells. */
const MANY = Symbol('many');

/** The one scalar under a dotted name of an object without the name in any other place. */
function walk(from: object, name: string, depth: number): Scalar | undefined | typeof MANY {
  if (depth > DEPTH_MAX) return undefined;
  const container = from as Readonly<Record<string, unknown>>;
  let found = leafOf(container, name);
  for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) {
    const inner = ownValue(container, name.slice(0, dot));
    if (typeof inner !== 'object' || inner === null) continue;
    const below = Array.isArray(inner) ? MANY : walk(inner, name.slice(dot + 1), depth + 1);
    if (below === undefined) continue;
    if (found !== undefined) return MANY;
    found = below;
  }
  return found;
}

function leafOf(container: Readonly<Record<string, unknown>>, name: string): Scalar | undefined | typeof MANY {
  const value = ownValue(container, name);
  if (typeof value !== 'object') return scalarOf(value);
  return value === null ? null : Array.isArray(value) ? MANY : undefined;
}

/** `toString` and its like are no fields of an event. */
function ownValue(container: Readonly<Record<string, unknown>>, name: string): unknown {
  const value = container[name];
  if (value === undefined || typeof value === 'string' || typeof value === 'number') return value;
  return Object.hasOwn(container, name) ? value : undefined;
}

/** Tells the list of `lookup` from its bare value. */
export function isList(found: Scalar | readonly Scalar[]): found is readonly Scalar[] {
  return typeof found === 'object' && found !== null;
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
