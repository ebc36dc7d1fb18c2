import type { CorrelationDefinition } from '@tracehound/sigma';
import { isLowerOnly } from './bounds.ts';
import { hasNot, positiveStepsOf } from './step-condition.ts';

/** More hits can only make the condition true (semantics section 2). */
export function isMonotone(definition: CorrelationDefinition): boolean {
  switch (definition.type) {
    case 'event_count':
    case 'value_count':
    case 'value_sum':
      return isLowerOnly(definition.bounds);
    case 'value_avg':
    case 'value_percentile':
    case 'value_rarity':
      return false;
    case 'temporal':
      return definition.temporal !== null && !hasNot(definition.temporal);
    case 'temporal_ordered':
      return definition.until.length === 0 && definition.ordered.every(({ negated }) => !negated);
  }
}

/** Whether a hit of the step is a positive: its step is not only negated. */
export function positiveTest(definition: CorrelationDefinition): (step: number) => boolean {
  if (definition.type === 'temporal' && definition.temporal) {
    const positive = positiveStepsOf(definition.temporal);
    return (step) => positive.has(step);
  }
  if (definition.type !== 'temporal_ordered') return () => true;
  const positive = new Set(definition.ordered.flatMap(({ step, negated }) => (negated ? [] : [step])));
  return (step) => positive.has(step);
}
