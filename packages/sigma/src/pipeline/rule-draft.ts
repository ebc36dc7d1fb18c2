import type { PlaceholderLists } from '../expand.ts';
import type { LogSource } from '../field-view.ts';
import type { Position, YamlEntry, YamlNode } from '../yaml-tree.ts';

/**
 * Detections as written, before modifiers are applied: the shape that pipelines work on, as their steps speak of fields,
 * modifiers and values (pySigma: "detection items"), no longer visible in a compiled test. Plain data; steps make new
 * drafts.
 */
export type Draft = DraftItem | DraftGroup;

/** One `field|modifier: values`; field null for keywords. */
export type DraftItem = {
  readonly kind: 'item';
  readonly at: Position;
  readonly field: string | null;
  readonly modifiers: readonly string[];
  readonly values: readonly YamlNode[];
  /** Ids of the steps that were applied to it, or to what it comes from. */
  readonly applied: ReadonlySet<string>;
  /** Placeholder lists that steps brought in. */
  readonly lists: PlaceholderLists;
};
export type DraftGroup = { readonly kind: 'all' | 'any'; readonly at: Position; readonly of: readonly Draft[] };

const NONE: ReadonlySet<string> = new Set();

/** Reads a selection. Map: all of its items. List: any of its maps, lists and keywords. One value: a keyword. */
export function draftOf(node: YamlNode): Draft {
  switch (node.kind) {
    case 'scalar':
      return { kind: 'item', at: node.at, field: null, modifiers: [], values: [node], applied: NONE, lists: {} };
    case 'list':
      return { kind: 'any', at: node.at, of: node.items.map(draftOf) };
    case 'map':
      return { kind: 'all', at: node.at, of: node.entries.map(draftOfEntry) };
  }
}

function draftOfEntry({ key, keyAt, value }: YamlEntry): DraftItem {
  const [name = '', ...modifiers] = key.split('|');
  const values = value.kind === 'list' ? value.items : [value];
  return { kind: 'item', at: keyAt, field: name === '' ? null : name, modifiers, values, applied: NONE, lists: {} };
}

/** The draft with each item replaced; null leaves the item out, and with its last one the group. */
export function mapItems(draft: Draft, change: (item: DraftItem) => Draft | null): Draft | null {
  if (draft.kind === 'item') return change(draft);
  let isSame = true;
  const of: Draft[] = [];
  for (const part of draft.of) {
    const changed = mapItems(part, change);
    if (changed !== part) isSame = false;
    if (changed) of.push(changed);
  }
  if (isSame) return draft;
  return of.length === 0 ? null : { ...draft, of };
}

export function* itemsOf(draft: Draft): Iterable<DraftItem> {
  if (draft.kind === 'item') yield draft;
  else for (const part of draft.of) yield* itemsOf(part);
}

/** A field that something beside the detection names: `fields`, `group-by`. Steps may make several of one. */
export type DraftField = { readonly name: string; readonly applied: ReadonlySet<string> };

/** What pipelines see of a rule, and change. */
export type RuleDraft = {
  readonly kind: 'detection' | 'filter' | 'correlation';
  readonly at: Position;
  logSource: LogSource;
  /** Selections by name; null for one that a step has left nothing of. */
  readonly selections: Map<string, Draft | null>;
  /** Joined to the condition by AND. */
  readonly conditions: { draft: Draft | null; readonly negated: boolean }[];
  /** By the name that the rule has for it. */
  readonly fields: Map<string, readonly DraftField[]>;
  readonly tags: readonly string[];
  readonly attributes: Map<string, string>;
};
