/**
 * The whole engine without a server: events go in one by one, detections and correlations come out, exactly as the
 * correlator would find them (EXACTNESS X2, X6, X9, X10). Pure: reading files, clocks and printing are the caller's.
 * `tracehound detect`, rule tests and backtests stand on it.
 */
export type { DetectCounters, DetectEvent, DetectOptions, Detector, DetectResult } from './detector.ts';
export { createDetector } from './detector.ts';
export { rfc3339 } from './rfc3339.ts';
