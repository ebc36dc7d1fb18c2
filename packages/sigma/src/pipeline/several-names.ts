import type { YamlNode } from '../yaml-tree.ts';
import type { Draft, DraftItem } from './rule-draft.ts';

/**
 * An item whose field has several new names: any of them may hold the value. What asks for absence (`null`,
 * `exists: false`) or for another value (`neq`) asks it of all of them; pySigma joins these by OR too, and such a test is
 * then true of nearly every event.
 */
export function withNames(item: DraftItem, names: readonly string[]): Draft {
  const [only, another] = names;
  if (only !== undefined && another === undefined) return { ...item, field: only };
  const isNegated = item.modifiers.includes('neq');
  const positive = item.values.filter((node) => asksForAbsence(item, node) === isNegated || isReference(item));
  const negative = item.values.filter((node) => !positive.includes(node));
  const some = named(item, names, { kind: 'any', values: positive });
  const none = named(item, names, { kind: 'all', values: negative });
  if (negative.length === 0) return some;
  if (positive.length === 0) return none;
  const needsAll = item.modifiers.includes('all') !== isNegated;
  return { kind: needsAll ? 'all' : 'any', at: item.at, of: [some, none] };
}

function named(
  item: DraftItem,
  names: readonly string[],
  { kind, values }: { readonly kind: 'all' | 'any'; readonly values: readonly YamlNode[] },
): Draft {
  return { kind, at: item.at, of: names.map((field): DraftItem => ({ ...item, field, values })) };
}

function asksForAbsence({ modifiers }: DraftItem, node: YamlNode): boolean {
  if (node.kind !== 'scalar') return false;
  return modifiers.includes('exists') ? node.value === false : node.value === null;
}

/** Under `fieldref`, `neq` asks for both fields to be there: any pair of them will do. */
function isReference({ modifiers }: DraftItem): boolean {
  return modifiers.includes('fieldref');
}
