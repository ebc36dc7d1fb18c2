import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createJsonFieldView, fieldPath, type Scalar } from './field-view.ts';

/** The plain way: flatten everything, then look. What the lazy view must equal on every object. */
function flattenAll(event: Readonly<Record<string, unknown>>): ReadonlyMap<string, readonly Scalar[]> {
  const flat = new Map<string, Scalar[]>();
  const visit = (name: string, value: unknown, depth: number): void => {
    if (depth > 64 || value === undefined) return;
    if (Array.isArray(value)) {
      if (!flat.has(name)) flat.set(name, []);
      for (const element of value) visit(name, element, depth + 1);
    } else if (typeof value === 'object' && value !== null) {
      for (const [key, inner] of Object.entries(value)) visit(`${name}.${key}`, inner, depth + 1);
    } else if (value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') {
      flat.set(name, [...(flat.get(name) ?? []), value]);
    }
  };
  for (const [name, value] of Object.entries(event)) visit(name, value, 1);
  return flat;
}

const keys = fc.constantFrom('a', 'b', 'c', 'a.b', 'b.c', '', '.', 'toString', '__proto__', 'constructor');
const json = fc.letrec<{ value: unknown; object: Record<string, unknown> }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom<unknown>('x', 1, true, null, ''),
    fc.array(tie('value'), { maxLength: 3 }),
    tie('object'),
  ),
  object: fc
    .array(fc.tuple(keys, tie('value')), { maxLength: 4 })
    // As JSON.parse does it: `__proto__` is an own key.
    .map((entries) => {
      const object: Record<string, unknown> = {};
      for (const [key, value] of entries) {
        Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
      }
      return object;
    }),
}));
const names = fc.array(keys, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('.'));

describe('the view of a JSON object', () => {
  it('equals the flattened object on every name, whatever was asked before', () => {
    fc.assert(
      fc.property(json.object, fc.array(names, { maxLength: 8 }), (event, asked) => {
        const flat = flattenAll(event);
        const view = createJsonFieldView(event);
        for (const name of [...asked, ...flat.keys()]) {
          expect(view.values(name)).toEqual(flat.get(name));
          const bare = view.lookup?.(fieldPath(name));
          expect(Array.isArray(bare) || bare === undefined ? bare : [bare]).toEqual(flat.get(name));
        }
        expect([...view.keywords()]).toEqual([...flat.values()].flat());
        const leaves: Scalar[] = [];
        view.forEachLeaf?.((leaf) => leaves.push(leaf));
        expect(leaves.map(String).sort()).toEqual([...flat.values()].flat().map(String).sort());
        for (const name of asked) expect(view.values(name)).toEqual(flat.get(name));
      }),
      { seed: 20_261_126, numRuns: 2_000 },
    );
  });

  it('finds a dotted name that is a key, nested, or both', () => {
    expect(createJsonFieldView({ 'a.b': 1 }).values('a.b')).toEqual([1]);
    expect(createJsonFieldView({ a: { b: 1 } }).values('a.b')).toEqual([1]);
    expect(createJsonFieldView({ 'a.b': 1, a: { b: 2 } }).values('a.b')).toEqual([1, 2]);
  });

  it('gives all members of arrays of objects', () => {
    expect(createJsonFieldView({ t: [{ id: 1 }, { id: 2 }, { id: [3] }] }).values('t.id')).toEqual([1, 2, 3]);
  });

  it('reads no deeper than 64 levels', () => {
    const nested = (levels: number): Record<string, unknown> => (levels === 1 ? { x: 1 } : { x: nested(levels - 1) });
    const name = (levels: number): string => Array.from({ length: levels }, () => 'x').join('.');
    expect(createJsonFieldView(nested(64)).values(name(64))).toEqual([1]);
    expect(createJsonFieldView(nested(65)).values(name(65))).toBeUndefined();
  });
});
