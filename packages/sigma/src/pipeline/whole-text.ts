import type { YamlNode } from '../yaml-tree.ts';
import type { DraftItem } from './rule-draft.ts';

const ANCHORS: readonly string[] = ['contains', 'startswith', 'endswith'];
/** Modifiers under which a value is no Sigma string: an expression, a network, the name of another field. */
const NO_STRINGS: readonly string[] = ['re', 'cidr', 'fieldref', 'exists', 'lt', 'lte', 'gt', 'gte'];

export function isText(item: DraftItem): boolean {
  return !item.modifiers.some((modifier) => NO_STRINGS.includes(modifier));
}

/**
 * The value with the wildcards that its modifiers stand for (`endswith: \cmd.exe` is `*\cmd.exe`): what pipelines see,
 * as pySigma applies modifiers before them. Null for what is no Sigma string.
 */
export function wholeText(item: DraftItem, node: YamlNode): string | null {
  if (node.kind !== 'scalar' || typeof node.value !== 'string' || !isText(item)) return null;
  const text = node.value;
  const opens = item.modifiers.some((modifier) => modifier === 'contains' || modifier === 'endswith');
  const closes = item.modifiers.some((modifier) => modifier === 'contains' || modifier === 'startswith');
  // A backslash at the end would take the meaning from the wildcard after it.
  const end = closes && !/(?:^|[^\\])(?:\\\\)*\*$/.test(text) ? `${evenBackslashes(text)}*` : text;
  return opens && !text.startsWith('*') ? `*${end}` : end;
}

function evenBackslashes(text: string): string {
  const run = /\\+$/.exec(text)?.[0].length ?? 0;
  return run % 2 === 1 ? `${text}\\` : text;
}

/** The item with values that hold their wildcards themselves. */
export function withWholeValues(item: DraftItem, values: readonly YamlNode[]): DraftItem {
  return { ...item, values, modifiers: item.modifiers.filter((modifier) => !ANCHORS.includes(modifier)) };
}
