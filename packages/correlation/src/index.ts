/**
 * Correlation windows in exact event time (EXACTNESS X2-X10). Pure: no I/O, no clock, no randomness. The engine of
 * a partition is a function of its matches log; alerts come out as immutable revisions, state goes in and out as
 * bytes. It knows no Kafka and no Redis: the correlator's shell flushes, produces and commits.
 */
export { alertIdOf, revisionOf } from './alert-id.ts';
export { COUNTER_NAMES, type CounterName } from './counters.ts';
export {
  type ApplyOptions,
  type ChainMatch,
  createPartitionEngine,
  type DirtyGroup,
  type Effect,
  type PartitionEngine,
  type PartitionEngineConfig,
  type SourceRef,
} from './engine.ts';
export { CorrelationError, type CorrelationErrorCode } from './errors.ts';
export type { FinalFacts } from './final-facts.ts';
export {
  ACTIVATION_LIMITS,
  type ActivationLimits,
  BREAKERS_MAX,
  type Breaker,
  breakersOf,
  type EngineLimits,
  engineLimitsOf,
  STATE_PRESSURE,
} from './limits.ts';
export type { LogMark } from './log-reach.ts';
export type { EngineMemory } from './memory.ts';
export {
  createOfflineEngine,
  type OfflineEngine,
  type OfflineEvent,
  type OfflineFinal,
  type OfflineOptions,
} from './offline.ts';
export type { OfflineGap } from './offline-gap.ts';
export {
  createAffected,
  finalsOfMatches,
  type Recovery,
  type RecoveryInput,
  type RecoveryMatch,
  recover,
} from './recovery.ts';
export { STATE_VERSION, STATE_VERSION_BEFORE, type StateVersion } from './state-version.ts';
export type { RuleUsage } from './usage.ts';
export { frameOf, rebuildFromMs } from './window-rule.ts';
