/**
 * How a process of ours lives: resources start in order, stop in reverse and roll back when a later one fails;
 * signals drain it; the exit code says what happened (0 drained, 1 fatal, 2 bad configuration); named fault points
 * let a test end it at an exact place. It knows no resource, no configuration key and no log library.
 */
export { faultPoint } from './fault-point.ts';
export { createLifecycle, type Lifecycle, type LifecycleLogger, type Resource } from './lifecycle.ts';
export { type RunnableApp, type RunServiceOptions, runService, type ServiceContext } from './run-service.ts';
export { createWorkers, reportToParent, type WorkerState, type Workers, type WorkersOptions } from './workers.ts';
