import type { CorrelationDefinition } from '@tracehound/sigma';
import { positiveStepsOf } from './step-condition.ts';

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
