import type { ItemSketch, SelectionSketch } from './detection-sketch.ts';

/** A value as comparisons see it: without case unless `cased`, numbers and booleans as text, null apart from ''. */
export function valueKey(value: string | number | boolean | null, cased = false): string {
  if (value === null) return 'null:';
  return `text:${cased ? String(value) : String(value).toLowerCase()}`;
}

function itemKey(item: ItemSketch): string {
  return [item.field, ...item.modifiers.filter((modifier) => modifier !== 'all').toSorted()].join('|');
}

function valueKeys(item: ItemSketch): ReadonlySet<string> {
  const cased = item.modifiers.includes('cased') || item.modifiers.includes('re');
  return new Set(item.values.map(({ value }) => valueKey(value, cased)));
}

/** Is the second item true whenever the first is? Knows equal fields and modifiers only; false when in doubt. */
export function itemImplies(item: ItemSketch, other: ItemSketch): boolean {
  if (itemKey(item) !== itemKey(other)) return false;
  const own = valueKeys(item);
  const others = valueKeys(other);
  if (item.modifiers.includes('all')) {
    return other.modifiers.includes('all')
      ? [...others].every((value) => own.has(value))
      : [...others].some((value) => own.has(value));
  }
  if (other.modifiers.includes('all') && others.size > 1) return false;
  const isNegated = item.modifiers.includes('neq');
  return isNegated ? [...others].every((value) => own.has(value)) : [...own].every((value) => others.has(value));
}

/** Is a map of items true whenever another one is? */
export function mapImplies(items: readonly ItemSketch[], others: readonly ItemSketch[]): boolean {
  return others.every((other) => items.some((item) => itemImplies(item, other)));
}

/** Is the second selection true whenever the first is? False when in doubt. */
export function selectionImplies(selection: SelectionSketch, other: SelectionSketch): boolean {
  const ownKeywords = selection.keywords.map(({ value }) => valueKey(value));
  const otherKeywords = new Set(other.keywords.map(({ value }) => valueKey(value)));
  if (ownKeywords.length + selection.alternatives.length === 0) return false;
  return (
    ownKeywords.every((keyword) => otherKeywords.has(keyword)) &&
    selection.alternatives.every((items) => other.alternatives.some((target) => mapImplies(items, target)))
  );
}
