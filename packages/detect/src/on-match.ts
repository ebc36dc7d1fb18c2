import type { CorrelationDefinition, OnMatch, RuleSetCompiled } from '@tracehound/sigma';

/** The rule set with another mode for every correlation that has a choice: the others decide once per window anyway. */
export function withMode(ruleSet: RuleSetCompiled, onMatch: OnMatch): RuleSetCompiled {
  const correlations = ruleSet.correlations.map((rule) => {
    if (!hasModes(rule.definition)) return rule;
    const decided = onMatch === 'suppress' && standsOnDetections(rule.stepSources) ? 'arrival' : 'watermark';
    return { ...rule, definition: { ...rule.definition, onMatch, decided } as const };
  });
  return { ...ruleSet, correlations };
}

function standsOnDetections(sources: RuleSetCompiled['correlations'][number]['stepSources']): boolean {
  return sources.every((source) => source.kind === 'detection');
}

/** Semantics section 6: monotone rules with sliding windows. */
function hasModes(definition: CorrelationDefinition): boolean {
  return definition.window.kind === 'sliding' && isMonotone(definition);
}

/** Semantics section 2: more hits can only make the condition true. */
export function isMonotone(definition: CorrelationDefinition): boolean {
  switch (definition.type) {
    case 'event_count':
    case 'value_count':
    case 'value_sum':
      return definition.bounds.every(({ relation }) => relation === 'gt' || relation === 'gte');
    case 'temporal':
      return definition.temporal !== null && !negates(definition.temporal);
    case 'temporal_ordered':
      return definition.until.length === 0 && definition.ordered.every((step) => !step.negated);
    case 'value_avg':
    case 'value_percentile':
    case 'value_rarity':
      return false;
  }
}

function negates(expression: NonNullable<CorrelationDefinition['temporal']>): boolean {
  switch (expression.op) {
    case 'not':
      return true;
    case 'and':
    case 'or':
      return expression.of.some(negates);
    case 'step':
    case 'at_least':
      return false;
  }
}
