import { createAvroCodec, createRegistry, type SchemaRegistry } from '@tracehound/avro';
import { kafkaClientOptions } from '@tracehound/config';
import {
  checkMirroredSources,
  classifyError,
  InvariantError,
  invariant,
  parseApprovalPolicy,
  RECORD_NAMES,
  TracehoundError,
} from '@tracehound/event-model';
import { createInternalServer } from '@tracehound/http';
import { createKafkaJsClient, type KafkaAdmin, type KafkaClient, readingSummary, traceKafka } from '@tracehound/kafka';
import { createLifecycle, faultPoint } from '@tracehound/lifecycle';
import { connectRedis, type Redis } from '@tracehound/redis';
import {
  createHealth,
  createLogger,
  createMetrics,
  createTracing,
  type HealthReport,
  type Logger,
  type MetricsSnapshot,
  verdictCounter,
} from '@tracehound/telemetry';
import { backoff } from './adapters/backoff.ts';
import { createRulesReader } from './adapters/kafka-rules-reader.ts';
import { createRedisStateStore, loadStateLibrary } from './adapters/redis-state-store.ts';
import { systemClock } from './adapters/system-clock.ts';
import { type CorrelatorConfig, topicNames } from './config.ts';
import { breakerKeyOf } from './domain/breaker-key.ts';
import { BrokerTime } from './domain/broker-time.ts';
import { RuleBook } from './domain/rule-book.ts';
import { RulesInForceSource } from './domain/rules-in-force.ts';
import { ClusterStoreError, EvictingStoreError, MatchesGrownError } from './errors.ts';
import type { Foundation, RunningStage } from './foundation.ts';
import { createCorrelatorMetrics } from './metrics.ts';
import type { Clock, StateStore } from './ports.ts';
import { Problems } from './problems.ts';
import { startStageA } from './stage-a.ts';
import { type RunningStageB, startStageB } from './stage-b.ts';

export type CorrelatorApp = {
  start(): Promise<void>;
  stop(): Promise<void>;
  readonly addresses: { readonly internal: string };
  /** From memory, as `/health/ready` and `/health/live` answer it. */
  health(): { readonly ready: HealthReport; readonly live: HealthReport };
  /** All metrics, for a process that answers for several. */
  metrics(processLabel: string): Promise<MetricsSnapshot>;
};

/** What a test may replace; the rest stays as in production. */
export type CorrelatorOverrides = {
  readonly kafka?: KafkaClient;
  readonly registry?: SchemaRegistry;
  readonly store?: StateStore;
  readonly clock?: Clock;
  readonly logger?: Logger;
  readonly faultPoint?: (name: string) => void;
  /** Called once when the service cannot go on. Default: the error is logged. */
  readonly onFatal?: (error: unknown) => void;
};

/**
 * The whole service. `start` resolves when the internal port listens; brokers, registry and Redis that are away are
 * waited for in the background and readiness says which, so the order in which processes start does not matter.
 */
export function createApp(config: CorrelatorConfig, overrides: CorrelatorOverrides = {}): CorrelatorApp {
  checkMirroredSources(config.namespace, { mirrored: config.mirroredSources, clusterId: config.clusterId });
  const logger = overrides.logger ?? createLogger({ service: 'correlator', level: config.logLevel });
  const metrics = createMetrics('correlator');
  const health = createHealth({
    onChange: (check, ok, detail) => logger[ok ? 'info' : 'warn']('readiness changed', { check, ok, detail }),
  });
  const tracing = createTracing({ service: 'correlator', ...config.tracing }, { metrics, logger });
  const client =
    overrides.kafka ??
    createKafkaJsClient({
      ...kafkaClientOptions(config.kafka, 'correlator'),
      logger: (level, message, fields) => logger[level](message, fields),
    });
  const kafka = traceKafka(client, tracing.tracer);
  const codec = createAvroCodec({ registry: overrides.registry ?? createRegistry({ url: config.registry.url }) });
  const internal = createInternalServer({ ...config.server, port: config.server.internalPort, metrics, health });
  const addresses = { internal: '' };
  const policy = config.ruleKeys === null ? null : parseApprovalPolicy(config.ruleKeys);
  const breakerKey = breakerKeyOf(config.breakerKey, policy);
  const stopping = new AbortController();
  const closers: (() => Promise<void>)[] = [];
  const shared = {
    config,
    topics: topicNames(config.namespace, config.mirroredSources),
    client: kafka,
    codec,
    book: new RuleBook(),
    breakerKey,
    brokerTime: new BrokerTime(),
    clock: overrides.clock ?? systemClock,
    logger,
    tracer: tracing.tracer,
    metrics: createCorrelatorMetrics(metrics),
    counter: verdictCounter(metrics),
    problems: new Problems((key, problem) => {
      if (problem === null) logger.info('partition goes on', { key });
      else logger.warn('partition waits', { key, problem });
    }),
    faultPoint: overrides.faultPoint ?? faultPoint,
  };
  let bringingUp: Promise<void> = Promise.resolve();
  let hasFailed = false;

  function onFatal(error: unknown): void {
    if (hasFailed) return;
    hasFailed = true;
    health.set('fatal', false, error instanceof Error ? error.message : 'the service cannot go on');
    logger.error('the service cannot go on', { err: error });
    overrides.onFatal?.(error);
  }

  async function bringUp(): Promise<void> {
    if (!kafka.carriesAppendTime) {
      throw new InvariantError('the Kafka adapter drops append times: stages A and B must not run on it (X1)');
    }
    // All schemas of this build, so that what is read decodes also while the registry is away.
    await codec.prepare(RECORD_NAMES);
    const admin = await kafka.admin();
    try {
      const foundation = await lay(admin);
      closers.push(() => admin.close());
      const consumers: RunningStage['consumer'][] = [];
      if (config.stages.includes('b')) {
        consumers.push(closing(watched(await startStageB(foundation, await openStore()))).consumer);
      }
      if (config.stages.includes('a')) consumers.push(closing(await startStageA(foundation)).consumer);
      health.check('reading', async () => readingSummary(consumers), { everyMs: 500 });
    } catch (error) {
      if (closers.length === 0) await admin.close();
      throw error;
    }
  }

  function closing(stage: RunningStage): RunningStage {
    closers.push(() => stage.stop());
    return stage;
  }

  async function lay(admin: KafkaAdmin): Promise<Foundation> {
    const { topics, book, brokerTime } = shared;
    const present = new Set(await admin.listTopics());
    const names = Object.values(topics).flat();
    const missing = names.filter((topic) => !present.has(topic));
    if (missing.length > 0) throw missingTopics(missing);
    await checkAppendTimes(admin, topics.sources);
    const ids = await admin.topicIds(names);
    const matchesPartitions = await admin.partitionCount(topics.matches);
    const ofGrowth = (before: number, now: number): MatchesGrownError | null =>
      before === now ? null : new MatchesGrownError(topics.matches, { before, now });
    const reader = createRulesReader({
      client: kafka,
      admin,
      codec,
      topics,
      book,
      brokerTime,
      policy,
      onIgnored: (ignored) => {
        shared.metrics.rulesIgnored.inc({ reason: ignored.reason });
        logger.error('a record of the rule topics is ignored', ignored);
      },
      onActivation: ({ activation_id, ruleset_id, effective_at, lateness_ms }) =>
        logger.info('rule activation read', {
          activationId: activation_id,
          rulesetId: ruleset_id,
          effectiveAtMs: effective_at,
          latenessMs: lateness_ms,
        }),
    });
    await reader.refresh();
    const said = book.activations.latest()?.activation;
    if (said?.matches_topic_id === ids.get(topics.matches)) {
      const grown = ofGrowth(said?.matches_partitions ?? matchesPartitions, matchesPartitions);
      if (grown !== null) throw grown;
    }
    health
      .check('kafka', async () => {
        const { length } = await admin.offsets(topics.matches);
        const grown = ofGrowth(matchesPartitions, length);
        if (grown !== null) onFatal(grown);
        return `${length} matches partitions`;
      })
      .check('rules', async () => rulesSummary(book), { everyMs: 1_000 })
      .check('partitions', async () => shared.problems.summary(), { everyMs: 500 });
    return {
      ...shared,
      admin,
      rules: new RulesInForceSource({ book, reader, brokerTime, clock: shared.clock }),
      matchesPartitions,
      topicId: (topic) => {
        const id = ids.get(topic);
        invariant(id !== undefined, 'a topic without an id', { topic });
        return id;
      },
      onFatal,
    };
  }

  async function openStore(): Promise<StateStore> {
    if (overrides.store) return overrides.store;
    const redis: Redis = await connectRedis(config.redisState.url, {
      role: 'state',
      sentinels: config.redisState.sentinels,
      commandTimeoutMs: config.redisTimeoutMs,
      lazy: true,
      onState: (state, error) => {
        logger.info('state store connection', { state, ...(error === null ? {} : { err: error }) });
        if (state !== 'up') return;
        // This build's library, also on a server that knows an older one of the same protocol version.
        void loadStateLibrary(redis).catch(() => undefined);
        void refuseUnfit();
      },
    });
    closers.push(async () => redis.disconnect());
    const store = createRedisStateStore({ redis, namespace: config.namespace, ttlMs: config.stateTtlMs });
    let isFit = false;

    /** At the first answer of the server, which may come long after the start; a policy changed later shows in readiness. */
    async function refuseUnfit(): Promise<void> {
      if (isFit) return;
      try {
        await store.ping();
        isFit = true;
      } catch (error) {
        // Any other failure is an outage: the next connection asks again.
        if (error instanceof EvictingStoreError || error instanceof ClusterStoreError) onFatal(error);
      }
    }

    health.check('state', async () => store.ping(), { everyMs: 1_000 });
    return store;
  }

  function watched(stage: RunningStageB): RunningStage {
    health
      .check('rebuild', async () => stage.rebuildSummary(), { everyMs: 250 })
      .check('ticks', async () => stage.report.tickSummary(), { everyMs: 500 });
    return stage;
  }

  async function bringUpWithRetries(): Promise<void> {
    for (let attempt = 1; !stopping.signal.aborted; attempt++) {
      try {
        await bringUp();
        health.set('start', true, `stages ${config.stages.join(' and ')} run`);
        return;
      } catch (error) {
        const { code, retriable } = classifyError(error);
        if (!retriable) return onFatal(error);
        health.set('start', false, `waiting: ${code}${error instanceof TracehoundError ? ` (${error.message})` : ''}`);
        for (const close of closers.splice(0).reverse()) await close().catch(() => undefined);
        await backoff(attempt, stopping.signal).catch(() => undefined);
      }
    }
  }

  const lifecycle = createLifecycle(logger)
    .add('tracing', tracing)
    .add('internal server', {
      start: async () => {
        addresses.internal = await internal.start();
        logger.info('listening', { internal: addresses.internal });
      },
      stop: () => internal.stop(),
    })
    .add('health', {
      start: () => {
        health.set('start', false, 'starting');
        health.start();
      },
      stop: () => health.stop(),
    })
    .add('kafka client', { stop: () => (overrides.kafka ? undefined : kafka.close()) })
    .add('stages', {
      start: () => {
        bringingUp = bringUpWithRetries();
      },
      stop: async () => {
        stopping.abort();
        await bringingUp;
        for (const close of closers.splice(0).reverse()) await close();
      },
      stopTimeoutMs: 18_000,
    });

  return {
    start: () => lifecycle.start(),
    stop: () => lifecycle.stop(),
    addresses,
    health: () => ({ ready: health.ready(), live: health.live() }),
    metrics: (processLabel) => metrics.snapshot(processLabel),
  };
}

function rulesSummary(book: RuleBook): string {
  const latest = book.activations.latest();
  if (latest === undefined) throw new Error('no rule activation is published yet');
  return `activation ${latest.activation.activation_id} of set ${latest.activation.ruleset_id.slice(0, 12)}`;
}

/** A mirror that makes its topics itself leaves them with the time of the sender, and every watermark would be a guess (X1). */
async function checkAppendTimes(admin: KafkaAdmin, topics: readonly string[]): Promise<void> {
  const types = await admin.topicSetting(topics, 'message.timestamp.type');
  const wrong = topics.filter((topic) => types.get(topic) !== 'LogAppendTime');
  if (wrong.length === 0) return;
  throw new TracehoundError('source topics do not have LogAppendTime: run `tracehound topics apply`', {
    code: 'SEC_CORRELATOR_NO_APPEND_TIME',
    category: 'dependency',
    retriable: true,
    fields: { topics: wrong.join(', ') },
  });
}

function missingTopics(topics: readonly string[]): TracehoundError {
  return new TracehoundError('topics are missing: run `tracehound topics apply`', {
    code: 'SEC_CORRELATOR_TOPICS_MISSING',
    category: 'dependency',
    retriable: true,
    fields: { topics: topics.join(', ') },
  });
}
