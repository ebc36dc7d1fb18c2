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
   * must not allocate per look. The path is that of the field, made once. Optional; a view without it is read through
   * `values`.
   */
  lookup?(path: FieldPath): Scalar | readonly Scalar[] | undefined;
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

/** A field's name, with every way to cut it at a dot: `a.b.c` is `b.c` inside `a`, and `c` inside `a.b`. */
export type FieldPath = {
  readonly name: string;
  /** Null for a name with so many dots that it is cut anew at each look. */
  readonly cuts: readonly FieldCut[] | null;
};
type FieldCut = { readonly key: string; readonly rest: FieldPath };

/** The ways to cut a name grow as two to the number of its dots; names of real logs have up to five. */
const DOTS_MAX = 6;

/** @see FieldPath */
export function fieldPath(name: string): FieldPath {
  const cuts: FieldCut[] = [];
  for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) {
    if (cuts.length === DOTS_MAX) return { name, cuts: null };
    cuts.push({ key: name.slice(0, dot), rest: { name: name.slice(dot + 1), cuts: null } });
  }
  return { name, cuts: cuts.map(({ key, rest }) => ({ key, rest: fieldPath(rest.name) })) };
}

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
  private readonly event: Readonly<Record<string, unknown>>;
  private flat: Map<string, Scalar[]> | null = null;

  constructor(event: Readonly<Record<string, unknown>>) {
    this.event = event;
  }

  lookup(path: FieldPath): Scalar | readonly Scalar[] | undefined {
    if (this.flat) return this.flat.get(path.name);
    const found = walk(this.event, path, 1);
    return found === MANY ? this.flattened().get(path.name) : found;
  }

  values(field: string): readonly Scalar[] | undefined {
    if (this.flat) return this.flat.get(field);
    const found = walkByName(this.event, field, 1);
    if (found === MANY) return this.flattened().get(field);
    return found === undefined ? undefined : [found];
  }

  *keywords(): Iterable<Scalar> {
    for (const values of this.flattened().values()) yield* values;
  }

  forEachLeaf(visit: (value: Scalar) => void): void {
    for (const key in this.event) if (Object.hasOwn(this.event, key)) visitLeaves(this.event[key], visit, 1);
  }

  forEachKey(visit: (key: string) => void): void {
    for (const key in this.event) visit(key);
  }

  private flattened(): Map<string, Scalar[]> {
    if (!this.flat) {
      this.flat = new Map();
      for (const [name, value] of Object.entries(this.event)) flatten(this.flat, name, value, 1);
    }
    return this.flat;
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

type Container = Readonly<Record<string, unknown>>;

/** The one scalar under a dotted name of an object without the name in any other place. */
function walk(container: Container, { name, cuts }: FieldPath, depth: number): Scalar | undefined | typeof MANY {
  if (cuts === null) return walkByName(container, name, depth);
  if (depth > DEPTH_MAX) return undefined;
  let found = leafOf(container, name);
  for (let index = 0; index < cuts.length; index++) {
    const { key, rest } = cuts[index] as FieldCut;
    const inner = ownValue(container, key);
    if (typeof inner !== 'object' || inner === null) continue;
    const below = Array.isArray(inner) ? MANY : walk(inner as Container, rest, depth + 1);
    if (below === undefined) continue;
    if (found !== undefined) return MANY;
    found = below;
  }
  return found;
}

/** As `walk`, for a name that is looked up now and then. */
function walkByName(container: Container, name: string, depth: number): Scalar | undefined | typeof MANY {
  if (depth > DEPTH_MAX) return undefined;
  let found = leafOf(container, name);
  for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) {
    const inner = ownValue(container, name.slice(0, dot));
    if (typeof inner !== 'object' || inner === null) continue;
    const below = Array.isArray(inner) ? MANY : walkByName(inner as Container, name.slice(dot + 1), depth + 1);
    if (below === undefined) continue;
    if (found !== undefined) return MANY;
    found = below;
  }
  return found;
}

function leafOf(container: Container, name: string): Scalar | undefined | typeof MANY {
  const value = ownValue(container, name);
  if (typeof value === 'string') return value;
  if (typeof value !== 'object') return scalarOf(value);
  return value === null ? null : Array.isArray(value) ? MANY : undefined;
}

/** `toString` and its like are no fields of an event. */
function ownValue(container: Container, name: string): unknown {
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
