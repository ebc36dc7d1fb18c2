/**
 * The pipeline idiom: stages return verdicts, `Pipeline.run` carries every item to exactly one outcome, and
 * `settle` is the only place that acts on outcomes and counts them. It knows no topic, no metric library, no clock.
 */
export { DeadLetterLimit, DeadLetterLimitError, type DeadLetterLimitOptions } from './dead-letter-limit.ts';
export { type BatchStage, type Outcome, Pipeline, type Stage } from './pipeline.ts';
export { countOutcomes, RetryRequested, type SettleEffects, settle, type VerdictCounter } from './settle.ts';
