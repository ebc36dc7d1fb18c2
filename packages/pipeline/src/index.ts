/**
 * The pipeline idiom: stages return verdicts, `Pipeline.run` carries every item to exactly one outcome, and
 * `settle` is the only place that acts on outcomes and counts them. It knows no topic, no metric library, no clock.
 */
export { Pipeline, type BatchStage, type Outcome, type Stage } from './pipeline.ts';
export { RetryRequested, settle, type SettleEffects, type VerdictCounter } from './settle.ts';
