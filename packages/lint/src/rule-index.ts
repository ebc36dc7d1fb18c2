import { referencesOf } from './correlation-sketch.ts';
import type { RuleDocument } from './rule-document.ts';

/** All rules of a run, findable the way correlations and filters name them. */
export type RuleIndex = {
  readonly rules: readonly RuleDocument[];
  /** The first rule with this id or name. */
  named(reference: string): RuleDocument | undefined;
  /** First other rule with the same value of a property, when the given one is not the first. */
  earlier(rule: RuleDocument, property: 'id' | 'name' | 'title'): RuleDocument | undefined;
  /** Correlations that name the rule, or one of its names. */
  usersOf(rule: RuleDocument): readonly RuleDocument[];
  /** Steps that are correlations themselves: 0 without; cycles count as endless. */
  depthOf(rule: RuleDocument): number;
  /** Timespans summed along the longest chain, in ms (EXACTNESS X11). */
  horizonMsOf(rule: RuleDocument): number;
};

export function createRuleIndex(rules: readonly RuleDocument[]): RuleIndex {
  const first = { id: new Map<string, RuleDocument>(), name: new Map<string, RuleDocument>(), title: new Map() };
  const users = new Map<RuleDocument, RuleDocument[]>();
  for (const rule of rules) {
    for (const property of ['id', 'name', 'title'] as const) {
      const value = rule[property]?.toLowerCase();
      if (value && !first[property].has(value)) first[property].set(value, rule);
    }
  }
  const named = (reference: string): RuleDocument | undefined =>
    first.id.get(reference.toLowerCase()) ?? first.name.get(reference.toLowerCase());
  for (const rule of rules) {
    if (!rule.correlation) continue;
    for (const reference of new Set(referencesOf(rule.correlation))) {
      const target = named(reference);
      if (target) users.set(target, [...(users.get(target) ?? []), rule]);
    }
  }
  const innerOf = (rule: RuleDocument): readonly RuleDocument[] =>
    (rule.correlation ? referencesOf(rule.correlation) : [])
      .map(named)
      .filter((target) => target?.kind === 'correlation')
      .filter((target) => target !== undefined);

  function depthOf(rule: RuleDocument, path: readonly RuleDocument[] = []): number {
    if (path.includes(rule)) return Number.POSITIVE_INFINITY;
    return Math.max(0, ...innerOf(rule).map((inner) => 1 + depthOf(inner, [...path, rule])));
  }

  function horizonMsOf(rule: RuleDocument, path: readonly RuleDocument[] = []): number {
    if (path.includes(rule)) return 0;
    const inner = innerOf(rule).map((target) => horizonMsOf(target, [...path, rule]));
    return (rule.correlation?.timespanMs ?? 0) + Math.max(0, ...inner);
  }

  return {
    rules,
    named,
    earlier(rule, property) {
      const value = rule[property]?.toLowerCase();
      const other = value ? first[property].get(value) : undefined;
      return other === rule ? undefined : other;
    },
    usersOf: (rule) => users.get(rule) ?? [],
    depthOf: (rule) => depthOf(rule),
    horizonMsOf: (rule) => horizonMsOf(rule),
  };
}
