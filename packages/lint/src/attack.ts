import { ATTACK_VERSION, LATER_TACTICS, LATER_TECHNIQUES, TACTIC_ROWS, TECHNIQUE_ROWS } from './generated/attack.ts';

/** A technique or sub-technique of the pinned ATT&CK release. */
export type Technique = {
  readonly id: string;
  readonly name: string;
  readonly tactics: readonly string[];
  /** The id that replaced it; null while it stands. */
  readonly movedTo: string | null;
  readonly isDeprecated: boolean;
};

export type Tactic = { readonly shortName: string; readonly id: string; readonly name: string };

export { ATTACK_VERSION };

/** In the order of the matrix. */
export const TACTICS: readonly Tactic[] = TACTIC_ROWS.map(([shortName, id, name]) => ({ shortName, id, name }));

export const TECHNIQUES: readonly Technique[] = TECHNIQUE_ROWS.map(([id, name, tactics, movedTo, isDeprecated]) => ({
  id,
  name,
  tactics,
  movedTo: movedTo === '' ? null : movedTo,
  isDeprecated,
}));

const BY_ID: ReadonlyMap<string, Technique> = new Map(TECHNIQUES.map((technique) => [technique.id, technique]));
const TACTIC_NAMES: ReadonlySet<string> = new Set([...TACTICS.map(({ shortName }) => shortName), ...LATER_TACTICS]);
const LATER: ReadonlySet<string> = new Set(LATER_TECHNIQUES);

/** By id, e.g. `T1110.003`. */
export function techniqueOf(id: string): Technique | undefined {
  return BY_ID.get(id);
}

/** Is this an id of version 19 that the pinned release does not have yet? */
export function isLaterTechnique(id: string): boolean {
  return LATER.has(id);
}

export function isTactic(name: string): boolean {
  return TACTIC_NAMES.has(name);
}

/** Is this a tactic of version 19 only? */
export function isLaterTactic(name: string): boolean {
  return LATER_TACTICS.includes(name);
}

export function tacticNames(): Iterable<string> {
  return TACTIC_NAMES;
}

/** Technique ids in a rule's tags, upper case, in order, once each: `attack.t1110.003` is `T1110.003`. */
export function techniquesIn(tags: readonly string[]): readonly string[] {
  const ids = tags.flatMap((tag) => /^attack\.(t\d{4}(?:\.\d{3})?)$/i.exec(tag)?.[1]?.toUpperCase() ?? []);
  return [...new Set(ids)];
}

/** Tactics in a rule's tags. */
export function tacticsIn(tags: readonly string[]): readonly string[] {
  return tags
    .map((tag) => tag.toLowerCase())
    .filter((tag) => tag.startsWith('attack.') && isTactic(tag.slice('attack.'.length)))
    .map((tag) => tag.slice('attack.'.length));
}
