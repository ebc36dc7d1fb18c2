import {
  type CorrelationDefinition,
  decidedOf,
  isMonotone,
  type OnMatch,
  type RuleSetCompiled,
} from '@tracehound/sigma';

/** The rule set with another mode for every correlation that has a choice: the others decide once per window anyway. */
export function withMode(ruleSet: RuleSetCompiled, onMatch: OnMatch): RuleSetCompiled {
  const correlations = ruleSet.correlations.map((rule) => {
    if (!hasModes(rule.definition)) return rule;
    const definition = { ...rule.definition, onMatch };
    const hasChainedStep = rule.stepSources.some(({ kind }) => kind === 'correlation');
    return { ...rule, definition: { ...definition, decided: decidedOf(definition, hasChainedStep) } };
  });
  return { ...ruleSet, correlations };
}

/** Semantics section 6: monotone rules with sliding windows. */
function hasModes(definition: CorrelationDefinition): boolean {
  return definition.window.kind === 'sliding' && isMonotone(definition);
}
