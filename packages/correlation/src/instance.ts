import type { CorrelationDefinition, CorrelationRule, StepExpression } from '@tracehound/sigma';
import { hashOf } from './alert-id.ts';
import type { Instance } from './live-group.ts';
import { windowRuleOf } from './window-rule.ts';

/** Short name of (correlation uid, semantic hash); 64 bits are plenty for the rules of one partition. */
export function instanceKey(rule: CorrelationRule): string {
  return hashOf([rule.uid, rule.semanticHash]).slice(0, 16);
}

/** An instance without groups. */
export function createInstance(rule: CorrelationRule, { key, isInner }: { key: string; isInner: boolean }): Instance {
  const { definition } = rule;
  const isPlain = definition.window.kind === 'sliding' && isMonotone(definition);
  return {
    key,
    window: isPlain && definition.onMatch === 'suppress' ? windowRuleOf(definition) : null,
    opens: definition.decided === 'arrival',
    isInner,
    lagMs: isPlain ? 0 : definition.spanMs,
    depth: rule.depth,
    families: new Map(),
    rule,
    groups: 0,
  };
}

/** Semantics section 2: more hits can only make the condition true. */
export function isMonotone(definition: CorrelationDefinition): boolean {
  switch (definition.type) {
    case 'event_count':
    case 'value_count':
    case 'value_sum':
      return definition.bounds.every(({ relation }) => relation === 'gt' || relation === 'gte');
    case 'temporal':
      return definition.temporal !== null && !hasNot(definition.temporal);
    case 'temporal_ordered':
      return definition.until.length === 0 && definition.ordered.every(({ negated }) => !negated);
    default:
      return false;
  }
}

function hasNot(expression: StepExpression): boolean {
  if (expression.op === 'not') return true;
  return (expression.op === 'and' || expression.op === 'or') && expression.of.some(hasNot);
}
