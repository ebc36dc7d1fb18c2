/**
 * The oracle: what the alerts of a set of events are, by `docs/design/correlation-semantics.md` and nothing else.
 * Slow and obvious on purpose, written apart from the engine and sharing no code with it; batch, no order of arrival.
 */

export {
  type ChainRule,
  type ChainRuleSet,
  finalsOfRuleSet,
} from './chains.ts';
export { everyHits, finalAlerts, type OracleOptions } from './final-alerts.ts';
export type { Final, FinalAlert, OracleEvent, OracleRule } from './model.ts';
