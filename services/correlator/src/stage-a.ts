import { randomUUID } from 'node:crypto';
import { namespaced } from '@tracehound/config';
import type { TopicPartition } from '@tracehound/kafka';
import { backoff } from './adapters/backoff.ts';
import {
  createActivationLane,
  createDeadLetters,
  createFindingsLane,
  createLateLane,
  createMatchesAppender,
} from './adapters/kafka-lanes.ts';
import { createDeadLetterLimit } from './dead-letter-limit.ts';
import { Detector } from './detector.ts';
import { breakerProposal } from './domain/breaker-proposal.ts';
import type { Trip } from './domain/breakers.ts';
import type { SourceRef } from './domain/covered-range.ts';
import { FloodGuard } from './domain/flood-guard.ts';
import { MatchWriter } from './domain/match-writer.ts';
import { RuleCosts } from './domain/rule-costs.ts';
import type { Foundation, RunningStage } from './foundation.ts';
import { LagWatch, reportLag } from './lag-watch.ts';
import { createDetectPath, type DetectPath } from './pipeline.ts';

/** A marker that takes longer is given up; the next tick writes another. */
const MARKER_TIMEOUT_MS = 5_000;
/** Running batches get this long to end before unacknowledged matches are given up to the next owner. */
const DRAIN_MS = 8_000;

/** Joins group correlator-a and runs stage A until stopped. */
export async function startStageA(foundation: Foundation): Promise<RunningStage> {
  const { client, clock, codec, config, logger, metrics, topics, brokerTime, rules, tracer, faultPoint } = foundation;
  const groupId = namespaced(config.namespace, 'correlator-a');
  const producer = await client.producer();
  const stopping = new AbortController();
  const appender = createMatchesAppender({ producer, topics, brokerTime });
  const writer = new MatchWriter({
    // A request joins values of several batches: it belongs to none of their spans, its records name them one by one.
    appender: { append: (...request) => tracer.within(null, () => appender.append(...request)) },
    backoff: (attempt) => backoff(attempt, stopping.signal),
    onRetry: (target, error) => {
      metrics.matchRetries.inc();
      logger.warn('matches were not acknowledged and go out again', { partition: target, err: error });
    },
  });
  const costs = new RuleCosts({
    now: () => performance.now(),
    shareMax: config.ruleSharePercentMax / 100,
    onSpent: (rule, seconds) => metrics.ruleSeconds.inc({ rule }, seconds),
    onFailed: (rule) => metrics.ruleFailures.inc({ rule }),
    onOverBudget: (ruleId, share) => {
      metrics.rulesOverBudget.inc();
      logger.warn('a rule takes more time than its budget', { ruleId, share });
    },
    tripShare: config.breakerRuleSharePercent === 100 ? Number.POSITIVE_INFINITY : config.breakerRuleSharePercent / 100,
    tripMs: config.breakerRuleMicros / 1_000,
    onTooSlow: ({ ruleId, organizationId, share }) => {
      const percent = Math.round(share * 100);
      trip({ ruleId, organizationId, reason: `its events took ${percent} % of a core over 10 s in this rule alone` });
    },
  });
  const guard = new FloodGuard({
    matchesMin: config.breakerMatchesMin,
    perEventMax: config.breakerPerEventMax,
    onFlood: trip,
  });

  /** Not awaited by the batch that saw it: until a breaker takes effect, slow acknowledgements hold a flood back. */
  function trip(cause: Trip): void {
    if (config.ruleKeys !== null && foundation.breakerKey === null) {
      logger.error('a rule floods or is too slow, and there is no key to sign a breaker with: disable it', {
        ...cause,
      });
      return;
    }
    logger.warn('a rule floods or is too slow: proposing a breaker', { ...cause });
    propose(cause).catch((error: unknown) => logger.warn('a breaker could not be published', { err: error }));
  }

  async function propose(cause: Trip): Promise<void> {
    await rules.refresh();
    const at = { brokerTimeMs: brokerTime.presentMs, nowMs: clock.nowMs(), newId: randomUUID };
    const proposed = breakerProposal(foundation.book.activations, cause, at);
    if (proposed.length === 0) return;
    for (const activation of proposed) await publishActivation(activation);
    metrics.breakersProposed.inc();
  }

  const publishActivation = createActivationLane({ producer, codec, topics }, foundation.breakerKey);
  const publishFindings = createFindingsLane({ producer, codec, topics });

  function createPath(source: SourceRef): DetectPath {
    const path = createDetectPath({
      source,
      codec,
      writer,
      currentSpan: () => tracer.current(),
      targets: foundation.matchesPartitions,
      faultPoint,
      clusterId: config.clusterId,
      isMirrored: config.mirroredSources.includes(source.topic),
      counter: foundation.counter,
      rulesAt: (appendTimeMs) => rules.at(appendTimeMs),
      watch: (compiled, failures, organizationId) => costs.watch(compiled, failures, organizationId),
      guard,
      onWithheld: (matches) => metrics.matchesWithheld.inc(matches),
      onSkipped: (detections) => metrics.detectionsSkipped.inc(detections),
      onGroupMissing: () => metrics.groupMissing.inc(),
      deadLetters: createDeadLetters({ producer, codec, topics, clock }),
      deadLetterLimit: createDeadLetterLimit(config, () => metrics.deadLetterLimit.inc({ stage: 'a' })),
      late: createLateLane({ producer, codec, topics }),
      publishFindings: async (findings) => {
        await publishFindings(findings);
        metrics.findings.inc(findings.length);
      },
      onMatches: (matches, records) => {
        metrics.matchesWritten.inc(matches);
        metrics.matchRecordsWritten.inc(records);
      },
    });
    return async (progress, records) => {
      const stopTimer = metrics.batchSeconds.startTimer({ stage: 'a' });
      const after = await path(progress, records);
      stopTimer();
      return after;
    };
  }

  const detector = new Detector({
    startOffset: (partition) => startOffset(foundation, groupId, partition),
    topicId: foundation.topicId,
    createPath,
    rules,
    book: foundation.book,
    brokerTime,
    sendMarker: async (partition, marker) => {
      const { baseOffset, appendTimeMs } = await producer.sendTo(partition, [marker], { timeoutMs: MARKER_TIMEOUT_MS });
      return { offset: baseOffset, appendTimeMs };
    },
    clock,
    tickMs: config.tickMs,
    faultPoint,
    logger,
    mirrored: config.mirroredSources,
    onMarker: () => metrics.markers.inc(),
    onState: (at, problem) => foundation.problems.set(`stage a, ${at.topic}/${at.partition}`, problem),
    onRevoked: (at) => foundation.problems.delete(`stage a, ${at.topic}/${at.partition}`),
  });
  const lag = new LagWatch({ stage: 'a', ...foundation });
  const consumer = client.consumer({
    groupId,
    topics: topics.sources,
    handler: lag.over(detector),
    onFatal: foundation.onFatal,
    sessionTimeoutMs: config.sessionTimeoutMs,
  });
  detector.bind(consumer);
  await consumer.start();
  // Four looks per tick keep the silence of a source within a quarter of the bound.
  const ticking = setInterval(
    () => {
      detector.markIdle();
      for (const [source, silenceMs] of detector.mirrorSilences()) {
        metrics.mirrorSilence.set({ source }, silenceMs / 1_000);
      }
    },
    Math.max(10, config.tickMs / 4),
  );
  ticking.unref();
  const measuring = reportLag(lag, logger);

  return {
    consumer,
    async stop() {
      clearInterval(ticking);
      clearInterval(measuring);
      const patience = setTimeout(() => {
        stopping.abort();
        writer.stop();
      }, DRAIN_MS);
      await consumer.stop();
      clearTimeout(patience);
      stopping.abort();
      writer.stop();
      await producer.close();
    },
  };
}

/** Committed offset, or the first kept one. An offset out of the log is refused by the consumer (X5). */
async function startOffset(foundation: Foundation, groupId: string, partition: TopicPartition): Promise<bigint> {
  const committed = await foundation.admin.committed(groupId, partition.topic);
  const known = committed.find((entry) => entry.partition === partition.partition)?.offset ?? null;
  if (known !== null) return known;
  const ranges = await foundation.admin.offsets(partition.topic);
  return ranges.find((range) => range.partition === partition.partition)?.low ?? 0n;
}
