import {
  ATTACK_VERSION,
  isLaterTechnique,
  TACTICS,
  TECHNIQUES,
  type Technique,
  techniqueOf,
  techniquesIn,
} from './attack.ts';
import { labelOf, type RuleDocument } from './rule-document.ts';

/** What the rules cover of one tactic. Techniques are counted without sub-techniques. */
export type TacticCoverage = {
  readonly tactic: string;
  readonly name: string;
  readonly techniques: number;
  readonly covered: number;
  /** Rules that name a technique of the tactic, sub-techniques included. */
  readonly rules: number;
  readonly by_technique: readonly { readonly id: string; readonly name: string; readonly rules: number }[];
  readonly gaps: readonly { readonly id: string; readonly name: string }[];
};

export type Coverage = {
  readonly attack_version: string;
  readonly rules: number;
  /** Rules that name no technique, by name; retired rules and filters are left out everywhere. */
  readonly without_technique: readonly string[];
  /** Ids the pinned release does not have: of version 19, or wrong. */
  readonly outside: readonly { readonly id: string; readonly later: boolean; readonly rules: readonly string[] }[];
  readonly tactics: readonly TacticCoverage[];
  /** Rules by technique id, sub-techniques apart; ids that moved count for their successor. */
  readonly techniques: ReadonlyMap<string, readonly string[]>;
};

const RETIRED: readonly string[] = ['deprecated', 'unsupported'];

export function coverageOf(rules: readonly RuleDocument[]): Coverage {
  const counted = rules.filter(({ kind, status }) => kind !== 'filter' && !RETIRED.includes(status ?? ''));
  const techniques = new Map<string, string[]>();
  const outside = new Map<string, string[]>();
  for (const rule of counted) {
    for (const written of techniquesIn(rule.tags)) {
      const id = techniqueOf(written)?.movedTo ?? written;
      const into = techniqueOf(id) ? techniques : outside;
      const names = into.get(id) ?? [];
      if (!names.includes(labelOf(rule))) names.push(labelOf(rule));
      into.set(id, names);
    }
  }
  return {
    attack_version: ATTACK_VERSION,
    rules: counted.length,
    without_technique: counted.filter(({ tags }) => techniquesIn(tags).length === 0).map(labelOf),
    outside: [...outside].map(([id, names]) => ({ id, later: isLaterTechnique(id), rules: names })),
    tactics: TACTICS.map(({ shortName, name }) => tacticCoverage({ shortName, name }, techniques)),
    techniques,
  };
}

const inUse = ({ movedTo, isDeprecated }: Technique): boolean => movedTo === null && !isDeprecated;

function tacticCoverage(
  { shortName, name }: { readonly shortName: string; readonly name: string },
  techniques: ReadonlyMap<string, readonly string[]>,
): TacticCoverage {
  const own = TECHNIQUES.filter((technique) => inUse(technique) && technique.tactics.includes(shortName));
  const parents = own.filter(({ id }) => !id.includes('.'));
  const rulesOf = (id: string): ReadonlySet<string> =>
    new Set([...techniques].flatMap(([other, names]) => (other === id || other.startsWith(`${id}.`) ? names : [])));
  const counted = parents.map((technique) => ({
    id: technique.id,
    name: technique.name,
    names: rulesOf(technique.id),
  }));
  return {
    tactic: shortName,
    name,
    techniques: parents.length,
    covered: counted.filter(({ names }) => names.size > 0).length,
    rules: new Set(counted.flatMap(({ names }) => [...names])).size,
    by_technique: counted
      .map(({ id, name: title, names }) => ({ id, name: title, rules: names.size }))
      .filter((one) => one.rules > 0),
    gaps: counted.filter(({ names }) => names.size === 0).map(({ id, name: title }) => ({ id, name: title })),
  };
}

/** A layer of ATT&CK Navigator, format 4.5: one entry for each technique some rule names, scored by rules. */
export type NavigatorLayer = {
  readonly name: string;
  readonly versions: { readonly attack: string; readonly navigator: string; readonly layer: string };
  readonly domain: 'enterprise-attack';
  readonly description: string;
  readonly sorting: number;
  readonly hideDisabled: boolean;
  readonly techniques: readonly {
    readonly techniqueID: string;
    readonly score: number;
    readonly comment: string;
    readonly enabled: boolean;
    readonly showSubtechniques: boolean;
  }[];
  readonly gradient: { readonly colors: readonly string[]; readonly minValue: number; readonly maxValue: number };
  readonly legendItems: readonly { readonly label: string; readonly color: string }[];
};

const GRADIENT = ['#d7e8f7ff', '#2b6cb0ff'] as const;

export function navigatorLayer(coverage: Coverage, name: string): NavigatorLayer {
  const scores = [...coverage.techniques].toSorted(([a], [b]) => (a < b ? -1 : 1));
  const children = new Set(scores.flatMap(([id]) => (id.includes('.') ? [id.split('.')[0]] : [])));
  const later = coverage.outside.filter((one) => one.later).map(({ id }) => id);
  return {
    name,
    versions: { attack: ATTACK_VERSION.split('.')[0] ?? ATTACK_VERSION, navigator: '5.1.0', layer: '4.5' },
    domain: 'enterprise-attack',
    description: [
      `Techniques that ${coverage.rules} Sigma rules name, against Enterprise ATT&CK ${ATTACK_VERSION}. The score is the number of rules.`,
      ...(later.length === 0 ? [] : [`Not in this version and left out: ${later.join(', ')}.`]),
    ].join(' '),
    sorting: 3,
    hideDisabled: false,
    techniques: scores.map(([id, names]) => ({
      techniqueID: id,
      score: names.length,
      comment: names.join(', '),
      enabled: true,
      showSubtechniques: children.has(id),
    })),
    gradient: { colors: GRADIENT, minValue: 0, maxValue: Math.max(1, ...scores.map(([, names]) => names.length)) },
    legendItems: [
      { label: 'one rule', color: GRADIENT[0] },
      { label: 'most rules', color: GRADIENT[1] },
    ],
  };
}
