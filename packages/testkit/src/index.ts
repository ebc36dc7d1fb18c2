/**
 * What tests share: the real servers of the run, a clock that stands still, randomness from a seed, and a wait that
 * says what it waited for. It holds no fakes of servers: those are in-memory ports beside the code they stand for.
 */
export { type FaultyServers, LINK_FAULTS, openFaultyServers, whileDisturbed } from './faulty-servers.ts';
export { endedByFullDisk, fillDisk, runOutOfWal } from './full-disk.ts';
export { type ManualClock, manualClock } from './manual-clock.ts';
export { type OtlpReceiver, type ReceivedSpan, startOtlpReceiver } from './otlp-receiver.ts';
export { type OwnStack, type OwnStackOnSmallDisk, openOwnStack, openOwnStackOnSmallDisk } from './own-stack.ts';
export { type SeededRandom, sfc32 } from './random.ts';
export { untilReadiness } from './readiness.ts';
export { replicated } from './replicated-topics.ts';
export { openStackWithClocks, type StackWithClocks } from './server-clock.ts';
export type { SmallDisk } from './small-disk.ts';
export { describeStackTiers, type OpenTier } from './stack-tiers.ts';
export { STEPPED_CLOCK_ENVIRONMENT, stepClock } from './stepped-clock.ts';
export { type TestStack, testStack } from './test-stack.ts';
export { openStackWithRights, type StackWithRights, type TopicRight } from './topic-rights.ts';
export { type WaitForOptions, WaitTimeoutError, waitFor } from './wait-for.ts';
