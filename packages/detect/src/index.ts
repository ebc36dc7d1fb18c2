/**
 * The whole engine without a server: events go in one by one, detections and correlations come out, exactly as the
 * correlator would find them (EXACTNESS X2, X6, X9, X10). Pure: reading files, clocks and printing are the caller's.
 * `tracehound detect`, rule tests and backtests stand on it.
 */
export {
  createDecider,
  createDetector,
  type Decider,
  type DetectCounters,
  type DetectOptions,
  type Detector,
} from './detector.ts';
export type { DetectEvent, EventPlace } from './event.ts';
export {
  createEventReader,
  type EventReader,
  type EventReaderOptions,
  ID_FIELDS,
  type ReadEvent,
  TIME_FIELDS,
} from './event-reader.ts';
export { parseEventTime, uuidTimeMs } from './event-time.ts';
export { type CorrelationExplanation, createEvidenceLog, type EvidenceLog } from './evidence-log.ts';
export { type CorrelationExplainer, createCorrelationExplainer, type GroupExplanation } from './explain-correlation.ts';
export { createMatchStage, type Matched, type MatchStage } from './match-stage.ts';
export type { DetectResult } from './result.ts';
export { rfc3339 } from './rfc3339.ts';
