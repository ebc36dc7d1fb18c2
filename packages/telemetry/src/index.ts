/**
 * What a process says about itself: structured logs on standard error, metrics in a registry of its own, and health
 * that is kept fresh in the background. It redacts by path, takes metric labels from closed lists only, and refuses to
 * carry payloads, trace ids or addresses.
 */
export { createHealth, type Health, type HealthCheckOptions, type HealthReport } from './health.ts';
export { createLogger, type Logger, type LoggerOptions, type LogLevel, REDACTION_PATHS } from './logger.ts';
export {
  createMetrics,
  type DefinedMetrics,
  defineMetrics,
  type MetricSpec,
  type Metrics,
  type MetricsSnapshot,
  textOf,
  verdictCounter,
} from './metrics.ts';
export { createTracing, type Tracing, type TracingOptions } from './tracing.ts';
