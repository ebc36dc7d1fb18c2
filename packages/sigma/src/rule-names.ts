import type { ParsedCorrelation, ParsedDetection, ParsedRule } from './rule-document.ts';
import type { Position } from './yaml-tree.ts';

/** A rule that others may name. */
export type NamedRule = ParsedDetection | ParsedCorrelation;

/** Rules by id and by name, both at once: a rule that has both answers to both. */
export type RuleNames = {
  /** The rules that a text names; more than one is ambiguous. */
  find(text: string): readonly NamedRule[];
  /** The uid behind an id or name; a text that names no single rule is its own. */
  canonical(text: string): string;
};

export function indexNames(rules: readonly NamedRule[]): RuleNames {
  const named = new Map<string, NamedRule[]>();
  for (const rule of rules) {
    for (const text of new Set([rule.uid, ...(rule.name === null ? [] : [rule.name])])) {
      const known = named.get(text);
      if (known) known.push(rule);
      else named.set(text, [rule]);
    }
  }
  const find = (text: string): readonly NamedRule[] => named.get(text) ?? [];
  const canonical = (text: string): string => {
    const [rule, ...more] = find(text);
    return rule && more.length === 0 ? rule.uid : text;
  };
  return { find, canonical };
}

/** The rule that a reference means; what is wrong with it is reported to the rule that refers. */
export function resolveReference(
  reference: { readonly text: string; readonly at: Position },
  from: ParsedRule,
  names: RuleNames,
): NamedRule | undefined {
  const [target, ...more] = names.find(reference.text);
  if (!target) {
    from.sink.report('reference_unknown', reference.at, `there is no rule with the id or name '${reference.text}'`);
  } else if (more.length > 0) {
    const places = [target, ...more.slice(0, 4)].map(({ path, at }) => `${path}:${at.line}`);
    const message = `${more.length + 1} rules have the id or name '${reference.text}': ${places.join(', ')}`;
    from.sink.report('reference_ambiguous', reference.at, message);
  } else return target;
  return undefined;
}
