import type { LinkedCorrelation } from './correlation-link.ts';
import { type CorrelationSource, parseCorrelation } from './correlation-rule.ts';
import type { RuleLimits } from './limits.ts';
import type { Answered, ParsedCorrelation } from './rule-document.ts';
import type { RuleNames } from './rule-names.ts';
import { OPERATORS, type ParsedOverride } from './rule-override.ts';
import { entryOf, type ProblemSink } from './yaml-tree.ts';

export type OverrideRule = Answered & ParsedOverride;

/** A correlation as it runs in one organization. */
export type Overridden = {
  readonly organization: string;
  readonly base: ParsedCorrelation;
  readonly override: OverrideRule;
  readonly source: CorrelationSource;
};

/** Overrides with the rules they change read anew. What cannot be run is reported at the override. */
export function readOverrides(
  overrides: readonly OverrideRule[],
  context: {
    readonly linked: ReadonlyMap<ParsedCorrelation, LinkedCorrelation>;
    readonly names: RuleNames;
    readonly limits: RuleLimits;
  },
): readonly Overridden[] {
  const taken = new Map<string, OverrideRule>();
  return overrides.flatMap((override) => {
    if (override.sink.hasFailed) return [];
    const { organization, rule } = override;
    const base = baseOf(override, context.names);
    if (base === undefined || organization === undefined || rule === undefined) return [];
    const linked = context.linked.get(base);
    // A rule that is refused says so itself.
    if (linked === undefined) return [];
    const key = JSON.stringify([organization, base.uid]);
    const other = taken.get(key);
    if (other !== undefined) {
      const message = `'${rule.text}' has an override for '${organization}' at ${other.path}:${other.at.line} already`;
      override.sink.report('duplicate_rule', rule.at, message);
      return [];
    }
    taken.set(key, override);
    const source = changedSource(override, base, context);
    return source === undefined ? [] : [{ organization, base, override, source }];
  });
}

function baseOf(override: OverrideRule, names: RuleNames): ParsedCorrelation | undefined {
  const { rule, sink } = override;
  if (rule === undefined) return undefined;
  const [found, ...more] = names.find(rule.text);
  if (found === undefined) {
    sink.report('reference_unknown', rule.at, `there is no rule with the id or name '${rule.text}'`);
  } else if (more.length > 0) {
    sink.report('reference_ambiguous', rule.at, `${more.length + 1} rules have the id or name '${rule.text}'`);
  } else if (found.kind === 'detection') {
    sink.report('value_invalid', rule.at, `'${rule.text}' is a detection, which has no number: write a filter`);
  } else return found;
  return undefined;
}

function changedSource(
  override: OverrideRule,
  base: ParsedCorrelation,
  { names, limits }: { readonly names: RuleNames; readonly limits: RuleLimits },
): CorrelationSource | undefined {
  const condition = entryOf(base.correlation, 'condition');
  const written = condition?.value.kind === 'map' ? condition.value : undefined;
  for (const { key, keyAt } of override.numbers) {
    if (written && entryOf(written, key)) continue;
    const own = (written?.entries ?? []).flatMap((entry) => (OPERATORS.includes(entry.key) ? [entry.key] : []));
    const has = own.length === 0 ? 'no number' : `only ${own.map((name) => `'${name}'`).join(', ')}`;
    override.sink.report(
      'value_invalid',
      keyAt,
      `the condition of '${base.name ?? base.uid}' has ${has}, not '${key}'`,
    );
  }
  if (condition === undefined || written === undefined || override.sink.hasFailed) return undefined;
  const numbers = new Map(override.numbers.map((entry) => [entry.key, entry]));
  const changed = { ...written, entries: written.entries.map((entry) => numbers.get(entry.key) ?? entry) };
  const entries = base.correlation.entries.map((entry) => (entry === condition ? { ...entry, value: changed } : entry));
  const source = parseCorrelation(
    base.document,
    { ...base.correlation, entries },
    { limits, problems: override.sink, warnings: SILENT, canonical: names.canonical },
  );
  if (source !== undefined && source.definition.expect.length > 0) {
    const message = `'${base.name ?? base.uid}' has 'expect', whose groups exist without events: copy the rule instead`;
    override.sink.report('unsupported', override.rule?.at ?? override.at, message);
    return undefined;
  }
  return source;
}

/** What there is to warn of was said for the rule itself. */
const SILENT: ProblemSink = { path: '', report: () => undefined };
