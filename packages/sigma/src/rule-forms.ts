import type { CorrelationRule, RuleSetCompiled } from './compiled-rules.ts';
import type { CorrelationDefinition } from './correlation-definition.ts';
import type { LinkedCorrelation } from './correlation-link.ts';
import type { Overridden } from './override-link.ts';
import type { ParsedCorrelation } from './rule-document.ts';
import { hashOfLinked } from './rule-hash.ts';
import type { NamedRule } from './rule-names.ts';

type Linking = {
  readonly linked: ReadonlyMap<ParsedCorrelation, LinkedCorrelation>;
  readonly overridden: readonly Overridden[];
};

/**
 * A correlation has a form in an organization when an override names it there, or one of a rule below it: what it stands on is
 * another then, and so its semantic hash.
 */
export function formsOf(
  { linked, overridden }: Linking,
  compiled: {
    readonly ready: readonly LinkedCorrelation[];
    readonly hashes: ReadonlyMap<NamedRule, string>;
    readonly correlations: readonly CorrelationRule[];
  },
): readonly CorrelationRule[] {
  const { ready, hashes, correlations } = compiled;
  const indices = new Map(ready.map((one, index) => [one.rule, index] as const));
  const forms: CorrelationRule[] = [];
  for (const [organization, own] of [...Map.groupBy(overridden, (one) => one.organization)].sort(byKey)) {
    const overrides = new Map(own.map((one) => [one.base, one]));
    const ownHashes = new Map<NamedRule, string>();
    // The linker's order is from the inside out.
    for (const one of linked.values()) {
      const base = indices.get(one.rule);
      const rule = base === undefined ? undefined : correlations[base];
      if (rule === undefined || base === undefined) continue;
      const override = overrides.get(one.rule);
      if (override === undefined && !one.targets.some((target) => ownHashes.has(target))) continue;
      const { decided } = one.definition;
      const definition = override === undefined ? one.definition : { ...override.source.definition, decided };
      const hash = hashOfLinked({ ...one, definition }, (target) => ownHashes.get(target) ?? hashes.get(target));
      ownHashes.set(one.rule, hash);
      const head = override?.override;
      forms.push({
        ...rule,
        index: correlations.length + forms.length,
        threshold: thresholdOf(definition),
        definition,
        semanticHash: hash,
        override: {
          organization,
          base,
          from: head ? { uid: head.uid, title: head.description.title, path: head.path, line: head.at.line } : null,
        },
        description: { ...rule.description, semantic_hash: hash },
      });
    }
  }
  return forms;
}

function byKey([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1;
}

export function indexForms(forms: readonly CorrelationRule[]): RuleSetCompiled['inOrganization'] {
  if (forms.length === 0) return (correlation) => correlation;
  const byOrganization = new Map<string, Map<number, number>>();
  for (const { index, override } of forms) {
    if (override === null) continue;
    const own = byOrganization.get(override.organization) ?? new Map<number, number>();
    byOrganization.set(override.organization, own.set(override.base, index));
  }
  return (correlation, organization) => byOrganization.get(organization)?.get(correlation) ?? correlation;
}

/** Counts: the lower bound, else 0; temporal_ordered: steps. */
export function thresholdOf(definition: CorrelationDefinition): number {
  if (definition.type === 'temporal_ordered') return definition.ordered.length;
  if (definition.type !== 'event_count' && definition.type !== 'value_count') return 0;
  return Math.max(0, ...definition.bounds.map(({ relation, value }) => (relation === 'gte' ? value : 0)));
}
