import { eventTypesOf, isNative } from './catalogue.ts';
import { referencesOf } from './correlation-sketch.ts';
import { labelOf, profileOf, type RuleDocument } from './rule-document.ts';
import { createRuleIndex, type RuleIndex } from './rule-index.ts';
import { text, textAt } from './yaml-read.ts';

/** What one rule is, needs and stands on. */
export type RuleListing = {
  readonly path: string;
  readonly line: number;
  readonly id: string | null;
  readonly name: string | null;
  readonly title: string;
  /** `detection`, `filter`, or the correlation's type. */
  readonly type: string;
  readonly level: string;
  readonly status: string | null;
  readonly author: string | null;
  /** `custom.profile`. */
  readonly profile: string | null;
  /** Log sources of the events it needs, through correlations: `product/service/category`. */
  readonly log_sources: readonly string[];
  /** Event types of the catalogue it needs, and what emits them. */
  readonly event_types: readonly { readonly name: string; readonly record: string; readonly topic: string }[];
  readonly group_by: readonly string[];
  readonly timespan: string | null;
  /** The rules it stands on, by name. */
  readonly stands_on: readonly string[];
  /** The correlations that stand on it. */
  readonly used_by: readonly string[];
  /** Correlations below it: 0 for one over detections. Null for a circle. */
  readonly depth: number | null;
};

/** Every rule in the order of the files. */
export function listRules(rules: readonly RuleDocument[]): readonly RuleListing[] {
  const index = createRuleIndex(rules);
  return rules.map((rule) => listingOf(rule, index));
}

function listingOf(rule: RuleDocument, index: RuleIndex): RuleListing {
  const below = detectionsBelow(rule, index, new Set());
  const types = new Map(
    below.filter(isNative).flatMap((detection) => eventTypesOf(detection).map((type) => [type.name, type] as const)),
  );
  const depth = index.depthOf(rule);
  return {
    path: rule.path,
    line: rule.at.line,
    id: rule.id,
    name: rule.name,
    title: rule.title,
    type: rule.correlation ? rule.correlation.type : rule.kind,
    level: rule.level,
    status: rule.status,
    author: textAt(rule.map, 'author') ?? null,
    profile: profileOf(rule),
    log_sources: [...new Set(below.map(sourceText))].toSorted(),
    event_types: [...types.values()].map(({ name, record, topic }) => ({ name, record, topic })),
    group_by: (rule.correlation?.groupBy ?? []).map((field) => text(field) ?? ''),
    timespan: textAt(rule.correlation?.map, 'timespan') ?? null,
    stands_on: (rule.correlation ? referencesOf(rule.correlation) : []).map((reference) => {
      const target = index.named(reference);
      return target ? labelOf(target) : `${reference} (unknown)`;
    }),
    used_by: index.usersOf(rule).map(labelOf),
    depth: Number.isFinite(depth) ? depth : null,
  };
}

function detectionsBelow(rule: RuleDocument, index: RuleIndex, seen: Set<RuleDocument>): readonly RuleDocument[] {
  if (seen.has(rule)) return [];
  seen.add(rule);
  if (!rule.correlation) return [rule];
  return referencesOf(rule.correlation).flatMap((reference) => {
    const target = index.named(reference);
    return target ? detectionsBelow(target, index, seen) : [];
  });
}

function sourceText({ logSource }: RuleDocument): string {
  const { product, service, category } = logSource;
  return [product ?? '*', service ?? '*', ...(category === null ? [] : [category])].join('/');
}
