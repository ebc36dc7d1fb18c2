import { parsePattern } from '../value-pattern.ts';
import type { YamlNode, YamlScalar } from '../yaml-tree.ts';
import type { Transformation, Value } from './pipeline-definition.ts';
import { REPLACED_CHARACTERS_MAX } from './replacement.ts';
import type { Draft, DraftItem } from './rule-draft.ts';
import { isText, wholeText, withWholeValues } from './whole-text.ts';

/** A value that a step cannot be applied to; the rule is then refused. */
export class StepFailure extends Error {}

type Of<T extends Transformation['type']> = Extract<Transformation, { readonly type: T }>;

/** Rewrites the strings of the item. With `rewrite` giving null for all of them the item stays as it is. */
function rewriteTexts(item: DraftItem, rewrite: (whole: string) => readonly string[] | null): DraftItem {
  let isChanged = false;
  const values = item.values.flatMap((node): readonly YamlNode[] => {
    const whole = wholeText(item, node);
    if (whole === null) return [node];
    const texts = rewrite(whole);
    if (texts !== null) isChanged = true;
    return (texts ?? [whole]).map((value): YamlScalar => ({ kind: 'scalar', at: node.at, value }));
  });
  return isChanged ? withWholeValues(item, values) : item;
}

export function replaceString(item: DraftItem, { pattern, replacement, skipSpecial }: Of<'replace_string'>): DraftItem {
  return rewriteTexts(item, (whole) => {
    if (whole.length > REPLACED_CHARACTERS_MAX) {
      throw new StepFailure(`'replace_string' takes values of at most ${REPLACED_CHARACTERS_MAX} characters`);
    }
    const plain = plainText(whole);
    const replaced = skipSpecial
      ? plain.replaceAll(TEXT_RUN, (run) => run.replaceAll(pattern, replacement))
      : plain.replaceAll(pattern, replacement);
    return replaced === plain ? null : [escapedText(replaced)];
  });
}

/** What lies between wildcards. */
const TEXT_RUN = /(?:[^*?\\]|\\[\s\S]?)+/g;

/** The text as people read it: single backslashes, but a star or a question mark that is no wildcard keeps its own. */
function plainText(source: string): string {
  return parsePattern(source)
    .map((part) => {
      if (part.kind === 'text') return part.text.replaceAll(/[*?]/g, '\\$&');
      return part.kind === 'any' ? '*' : '?';
    })
    .join('');
}

/** Back again: a backslash that takes no meaning away is itself. */
function escapedText(plain: string): string {
  return plain.replaceAll(/\\(?![*?])/g, '\\\\');
}

export function mapString(item: DraftItem, { mapping }: Of<'map_string'>): DraftItem {
  return rewriteTexts(item, (whole) => mapping.get(plainText(whole)) ?? null);
}

export function changeCase(item: DraftItem, { to }: Of<'case'>): DraftItem {
  return rewriteTexts(item, (whole) => [to === 'lower' ? whole.toLowerCase() : whole.toUpperCase()]);
}

/** Every value gives way to one; what its modifiers asked of the old ones goes with them. */
export function setValue(item: DraftItem, { value }: Of<'set_value'>): DraftItem {
  const modifiers = item.modifiers.filter((modifier) => modifier === 'neq');
  return { ...item, modifiers, values: [{ kind: 'scalar', at: item.values[0]?.at ?? item.at, value }] };
}

export function convertType(item: DraftItem, { to }: Of<'convert_type'>): DraftItem {
  const values = item.values.map((node): YamlNode => {
    if (node.kind !== 'scalar' || node.value === null || !isText(item)) return node;
    return { ...node, value: converted(node.value, to) };
  });
  return { ...item, values };
}

function converted(value: Exclude<Value, null>, to: 'str' | 'num'): Value {
  if (to === 'str') return String(value);
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  if (typeof number === 'number' && Number.isFinite(number)) return number;
  throw new StepFailure(`'convert_type' cannot make a number of '${value}'`);
}

const PLACEHOLDER = /\\\\|\\%|%([^%\s\\]+)%/g;

/** Gives the item lists of its own for the placeholders it names; the modifier `expand` uses them. */
export function fillPlaceholders(
  item: DraftItem,
  { type, include, exclude }: Of<'value_placeholders' | 'wildcard_placeholders'>,
  vars: Readonly<Record<string, readonly string[]>>,
): DraftItem {
  if (!item.modifiers.includes('expand')) return item;
  const lists: Record<string, readonly string[]> = {};
  for (const name of placeholdersOf(item)) {
    if ((include && !include.includes(name)) || exclude?.includes(name)) continue;
    const list = type === 'wildcard_placeholders' ? ['*'] : Object.hasOwn(vars, name) ? vars[name] : undefined;
    if (list) lists[name] = list;
  }
  if (Object.keys(lists).length === 0) return item;
  if (type === 'wildcard_placeholders' && !isText(item)) {
    throw new StepFailure(`'wildcard_placeholders' takes texts only: give values with 'value_placeholders'`);
  }
  return { ...item, lists: { ...item.lists, ...lists } };
}

function placeholdersOf(item: DraftItem): ReadonlySet<string> {
  const names = new Set<string>();
  for (const node of item.values) {
    if (node.kind !== 'scalar' || typeof node.value !== 'string') continue;
    for (const [, name] of node.value.matchAll(PLACEHOLDER)) if (name !== undefined) names.add(name);
  }
  return names;
}

/** Digits of a hash in hex tell its algorithm. */
const ALGORITHMS: Readonly<Record<number, string>> = { 32: 'MD5', 40: 'SHA1', 64: 'SHA256', 128: 'SHA512' };

/** `Hashes: SHA256=...` becomes one item per algorithm, on a field of its own. */
export function splitHashes(item: DraftItem, { algorithms, prefix, dropsAlgorithm }: Of<'hashes_fields'>): Draft {
  if (item.field !== 'Hashes' && item.field !== 'Hash') return item;
  const byField = new Map<string, YamlNode[]>();
  for (const node of item.values) {
    const whole = wholeText(item, node);
    if (whole === null) throw new StepFailure(`'hashes_fields' takes texts, in '${item.field}'`);
    const [algorithm, hash] = readHash(whole.replaceAll(/^\*|\*$/g, ''));
    if (!algorithms.includes(algorithm)) {
      throw new StepFailure(`'hashes_fields' cannot tell the algorithm of '${whole}', or has no field for it`);
    }
    const field = prefix + (dropsAlgorithm ? '' : algorithm);
    const value: YamlNode = { kind: 'scalar', at: node.at, value: hash };
    const known = byField.get(field);
    if (known) known.push(value);
    else byField.set(field, [value]);
  }
  const whole = withWholeValues(item, item.values);
  const of = [...byField].map(([field, values]): DraftItem => ({ ...whole, field, values }));
  const [only, another] = of;
  if (only && !another) return only;
  const needsAll = item.modifiers.includes('all') !== item.modifiers.includes('neq');
  return { kind: needsAll ? 'all' : 'any', at: item.at, of };
}

function readHash(text: string): readonly [algorithm: string, hash: string] {
  const named = /^([A-Za-z0-9]+)[=|](.*)$/.exec(text);
  if (named) return [(named[1] ?? '').toUpperCase(), named[2] ?? ''];
  return [ALGORITHMS[text.length] ?? '', text];
}
