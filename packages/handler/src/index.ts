/**
 * Custom consumers of what Tracehound says: one file with `defineHandler`, run by `tracehound handler run FILE`. The
 * guarantees are those of the built-in services: at least once with a stable idempotency key, in order per partition, nothing
 * dropped. It holds no handler itself; examples/ has two.
 */
export { createHandlerApp, type HandlerApp, type HandlerOverrides } from './app.ts';
export { describeHandlerConfig, type HandlerConfig, loadHandlerConfig } from './config.ts';
export {
  defineHandler,
  type Handler,
  type HandlerContext,
  type HandlerRecord,
  type HandlerTopic,
  PermanentError,
  RetryLaterError,
} from './handler.ts';
export { loadHandler } from './load-handler.ts';
