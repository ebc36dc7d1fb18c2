/**
 * The oracle: what the alerts of a set of events are, by the definitions of EXACTNESS X10 and nothing else. Slow
 * and obvious on purpose, written apart from the engine and sharing no code with it; batch, no order of arrival.
 */
export { type FinalAlert, finalAlerts, type OracleEvent, type OracleRule } from './final-alerts.ts';
