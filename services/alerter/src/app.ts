import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { createAvroCodec, createRegistry, type SchemaRegistry } from '@tracehound/avro';
import { kafkaClientOptions, namespaced } from '@tracehound/config';
import { classifyError, namespacedTopic, RECORD_NAMES, TracehoundError } from '@tracehound/event-model';
import { closeServer, createInternalServer, listen } from '@tracehound/http';
import {
  createKafkaJsClient,
  type KafkaAdmin,
  type KafkaClient,
  type KafkaConsumer,
  readingSummary,
  traceKafka,
} from '@tracehound/kafka';
import { createLifecycle } from '@tracehound/lifecycle';
import { createPool, ensureDatabase, migrate, type Pool } from '@tracehound/postgres';
import {
  createHealth,
  createLogger,
  createMetrics,
  createTracing,
  type Logger,
  verdictCounter,
} from '@tracehound/telemetry';
import { createAlertDecoder } from './adapters/alert-decoder.ts';
import { type AlertExceptions, createAlertExceptions } from './adapters/alert-exceptions.ts';
import { createDeadLetters } from './adapters/dead-letters.ts';
import { createFactPublisher } from './adapters/fact-publisher.ts';
import { createHttpApi } from './adapters/http-api.ts';
import { createPostgresStore } from './adapters/postgres-store.ts';
import { createReceivers } from './adapters/receivers.ts';
import { CONSOLE_ONLY, parseReceivers } from './adapters/receivers-file.ts';
import { withRole } from './adapters/role-url.ts';
import { parseTokens } from './adapters/tokens-file.ts';
import type { AlerterConfig } from './config.ts';
import { type AlertIntake, createAlertIntake } from './domain/alert-intake.ts';
import { createDirectNotices } from './domain/direct-notices.ts';
import { createDispatcher } from './domain/dispatcher.ts';
import { createHomes } from './domain/homes.ts';
import { type IntakeRunDeps, storeAlerts } from './domain/intake-run.ts';
import { createLoop, type Loop } from './domain/loop.ts';
import { repeatWhileAway } from './domain/repeat-while-away.ts';
import { createStoreClock } from './domain/store-clock.ts';
import { isStoreAway } from './errors.ts';
import { defineAlerterMetrics } from './metrics.ts';
import { createFlushPipeline } from './pipeline.ts';
import type { AlertStore, StoreCounts } from './ports.ts';
import { createReporter } from './reporter.ts';

export type AlerterApp = {
  start(): Promise<void>;
  stop(): Promise<void>;
  readonly addresses: { readonly internal: string; readonly public: string };
};

/** What a test may replace; the rest stays as in production. */
export type AlerterOverrides = {
  readonly kafka?: KafkaClient;
  readonly registry?: SchemaRegistry;
  readonly store?: AlertStore;
  readonly logger?: Logger;
  readonly now?: () => number;
  readonly random?: () => number;
  /** Where console receivers write; default standard output. */
  readonly write?: (line: string) => void;
  /** Called when the service cannot go on. Default: the error is logged. */
  readonly onFatal?: (error: unknown) => void;
};

const MIGRATIONS = new URL('../../../deploy/migrations/', import.meta.url);
const INTAKE_TOPICS = ['security.alerts', 'security.findings'] as const;
const SERVICE = 'alerter';
const BRING_UP_RETRY_MS = 1_000;
/** Parked alerts are looked at this often: most audit rows come within 100 ms. */
const PARKED_EVERY_MS = 50;
const PARKED_MAX = 100;
const FACTS_EVERY_MS = 100;
const FACTS_MAX = 500;
const COUNTS_EVERY_MS = 2_000;
/** Somebody who looks at an alert waits for the rules behind it at most so long. */
const EXCEPTIONS_WAIT_MS = 2_000;
const NO_COUNTS: StoreCounts = { outboxPending: 0, outboxDead: 0, outboxInDoubt: 0, parked: 0, oldestPendingAgeMs: 0 };

/**
 * The whole service. `start` resolves when both ports listen; servers that are away are waited for in the background
 * and readiness says which. Throws at once when the receivers or tokens file is wrong.
 */
export function createApp(config: AlerterConfig, overrides: AlerterOverrides = {}): AlerterApp {
  const logger = overrides.logger ?? createLogger({ service: SERVICE, level: config.logLevel });
  const clock = createStoreClock({ wallNow: Date.now, steadyNow: () => performance.now() });
  const now = overrides.now ?? clock.now;
  const pace = overrides.now ?? clock.pace;
  const random = overrides.random ?? Math.random;
  const onFatal = overrides.onFatal ?? ((error: unknown) => logger.error('fatal', { err: error }));
  const owner = `${hostname()}/${process.pid}/${randomUUID()}`;
  const addresses = { internal: '', public: '' };
  const linkBase = (): string => config.linkBase ?? addresses.public;

  const receiversConfig =
    config.receivers === null ? CONSOLE_ONLY : parseReceivers(config.receivers, { leaseMs: config.leaseMs });
  const homes = createHomes(config.homes, config.clusterId);
  const checkToken = config.tokens === null ? () => null : parseTokens(config.tokens.reveal());
  const receivers = createReceivers(receiversConfig, {
    lateMs: config.lateMs,
    now,
    write: overrides.write ?? ((line) => void process.stdout.write(line)),
  });
  const channelOf = (name: string): string => receivers.get(name)?.channel ?? 'unknown';

  const metrics = createMetrics(SERVICE);
  let counts = NO_COUNTS;
  const measured = defineAlerterMetrics(metrics, () => counts);
  const reporter = createReporter({ logger, metrics: measured, now });
  const health = createHealth({
    onChange: (check, ok, detail) => logger[ok ? 'info' : 'warn']('readiness changed', { check, ok, detail }),
  });

  const pool: Pool | null = overrides.store
    ? null
    : createPool(withRole(config.postgres.url, config.role), {
        applicationName: SERVICE,
        statementTimeoutMs: 10_000,
        onIdleError: (error) => logger.warn('a database connection was lost', { err: error }),
      });
  const store = overrides.store ?? createPostgresStore(poolOf(pool));
  const tracing = createTracing({ service: SERVICE, ...config.tracing }, { metrics, logger });
  const client =
    overrides.kafka ??
    createKafkaJsClient({
      ...kafkaClientOptions(config.kafka, SERVICE),
      logger: (level, message, fields) => logger[level](message, fields),
    });
  const kafka = traceKafka(client, tracing.tracer);
  const codec = createAvroCodec({ registry: overrides.registry ?? createRegistry({ url: config.registry.url }) });
  const decode = createAlertDecoder(codec);
  const topicOf = (name: string): string => namespaced(config.namespace, name);
  const topics = new Map(INTAKE_TOPICS.map((name) => [namespacedTopic(config.namespace, name), name]));
  const stopping = new AbortController();
  let consumer: KafkaConsumer | null = null;
  const closing: (() => Promise<void>)[] = [];

  const direct = createDirectNotices({
    decode,
    routing: receiversConfig.routing,
    homes,
    receivers,
    linkBase,
    now,
    pace,
    onSent: reporter.sentDirectly,
  });
  const dispatcher = createDispatcher({
    store,
    flush: createFlushPipeline({
      recordDelivery: (...recorded) =>
        repeatWhileAway(() => store.recordDelivery(...recorded), {
          signal: stopping.signal,
          onError: reporter.failed('record'),
        }),
      receivers,
      owner,
      now,
      pace,
      random,
      scheduleMs: config.retrySchedule.map(Number),
    }),
    receivers,
    owner,
    leaseMs: config.leaseMs,
    inDoubt: receiversConfig.inDoubt,
    now: pace,
    onOutcome: (outcome) => {
      reporter.flushed(outcome);
      facts?.wake();
    },
    onError: reporter.failed('dispatch'),
  });
  let facts: Loop | null = null;
  /** Until the brokers were reached nothing is known of rules. */
  let exceptionsOf: AlertExceptions = async () => null;

  async function bringUp(): Promise<void> {
    if (pool && config.migrate) {
      await ensureDatabase(config.postgres.url);
      const applied = await migrate(config.postgres.url, MIGRATIONS);
      if (applied.length > 0) logger.info('migrations applied', { names: applied.map((migration) => migration.name) });
    }
    clock.follow(await store.clockMs());
    // All schemas of this build, so that what is read decodes also while the registry is away.
    await codec.prepare(RECORD_NAMES);
    const admin = await kafka.admin();
    closing.push(() => admin.close());
    const producer = await kafka.producer();
    closing.push(() => producer.close());
    const { loops, intake } = assemble(admin, producer);
    for (const loop of loops) {
      loop.start();
      closing.push(() => loop.stop());
    }
    await consumer?.start();
    closing.push(async () => consumer?.stop());
    watch(admin, intake);
  }

  /** Everything that needs the brokers; `loops` is the background work, in the order in which it starts. */
  function assemble(
    admin: KafkaAdmin,
    producer: Awaited<ReturnType<KafkaClient['producer']>>,
  ): { readonly loops: readonly Loop[]; readonly intake: AlertIntake } {
    const run: IntakeRunDeps = {
      store,
      intake: {
        decode,
        routing: receiversConfig.routing,
        homes,
        channelOf,
        linkBase,
        principal: SERVICE,
        toldInstead: direct.toldInstead,
        onViolation: reporter.violated,
      },
      now: pace,
      counter: reporter.counting(verdictCounter(metrics)),
      deadLetter: createDeadLetters({ producer, codec, topicOf, now, onDead: reporter.dead }),
      onStored: (notices) => {
        reporter.stored(notices);
        for (const { record } of notices) direct.remember(record);
        dispatcher.wake();
        facts?.wake();
      },
    };
    const intake = createAlertIntake({
      ...run,
      owner,
      direct,
      refetchWaitMs: config.refetchWaitMs,
      topics,
      topicId: topicIds(admin),
      consumer: () => consumer,
      onError: reporter.failed('intake'),
    });
    consumer = kafka.consumer({
      groupId: namespaced(config.namespace, SERVICE),
      topics: [...topics.keys()],
      handler: intake.handler,
      onFatal,
      sessionTimeoutMs: config.sessionTimeoutMs,
    });
    const parked = createLoop({
      everyMs: PARKED_EVERY_MS,
      onError: reporter.failed('parked'),
      work: async () => {
        const before = (tx: Parameters<Parameters<AlertStore['transaction']>[0]>[0], nowMs: number) =>
          tx.claimParked({ nowMs, limit: PARKED_MAX });
        return (await storeAlerts(run, { before })) === PARKED_MAX;
      },
    });
    exceptionsOf = createAlertExceptions({
      kafka,
      admin,
      codec,
      topic: topicOf('detection.rules'),
      waitMs: EXCEPTIONS_WAIT_MS,
      onError: reporter.failed('exceptions'),
    });
    const publish = createFactPublisher({ producer, codec, topicOf, onPublished: reporter.published });
    const publisher = createLoop({
      everyMs: FACTS_EVERY_MS,
      onError: reporter.failed('facts'),
      work: async () => (await store.publishFacts(FACTS_MAX, publish)) === FACTS_MAX,
    });
    facts = publisher;
    const counting = createLoop({
      everyMs: COUNTS_EVERY_MS,
      onError: reporter.failed('counts'),
      work: async () => {
        measured.backlog.set(intake.waiting());
        counts = await store.counts(pace());
        clock.follow(await store.clockMs());
        return false;
      },
    });
    return { loops: [publisher, dispatcher, parked, counting, intake.watch], intake };
  }

  /** Readiness is proven again and again: a query, and partitions that are really ours to read. */
  function watch(admin: KafkaAdmin, intake: AlertIntake): void {
    health.check(
      'kafka',
      async () => {
        const existing = new Set(await admin.listTopics());
        const missing = [...topics.keys()].filter((topic) => !existing.has(topic));
        if (missing.length > 0) throw new Error(`topics are missing: ${missing.join(', ')}`);
        const held = consumer?.assignment().length ?? 0;
        if (held === 0) throw new Error('no partition is assigned yet');
        return `${held} partitions assigned`;
      },
      { everyMs: 1_000 },
    );
    health.check('partitions', async () => intake.summary(), { everyMs: 1_000 });
    health.check('reading', async () => readingSummary(consumer === null ? [] : [consumer]), { everyMs: 1_000 });
  }

  async function bringUpWithRetries(): Promise<void> {
    while (!stopping.signal.aborted) {
      try {
        await bringUp();
        health.set('start', true, 'started');
        return;
      } catch (error) {
        await closeAll(closing);
        const { code, retriable } = classifyError(error);
        if (!retriable) return onFatal(error);
        health.set('start', false, `waiting: ${code}${error instanceof TracehoundError ? ` (${error.message})` : ''}`);
        await new Promise((resolve) => setTimeout(resolve, BRING_UP_RETRY_MS));
      }
    }
  }

  async function askStore(): Promise<string> {
    try {
      await store.counts(pace());
      return 'answered';
    } catch (error) {
      throw isStoreAway(error) ? new Error('PostgreSQL cannot be reached; thin notices go out meanwhile') : error;
    }
  }

  const internal = createInternalServer({ host: config.host, port: config.internalPort, metrics, health });
  const api = createHttpApi({
    store,
    checkToken,
    exceptionsOf: (alert) => exceptionsOf(alert),
    linkBase,
    onError: (error, requestId) => logger.error('a request failed', { requestId, err: error }),
  });
  let bringingUp: Promise<void> = Promise.resolve();

  const lifecycle = createLifecycle(logger)
    .add('tracing', tracing)
    .add('internal server', {
      start: async () => {
        addresses.internal = await internal.start();
      },
      stop: () => internal.stop(),
    })
    .add('health', {
      start: () => {
        health.set('start', false, 'starting');
        health.check('postgres', askStore, { everyMs: 1_000 });
        health.start();
      },
      stop: () => health.stop(),
    })
    .add('database pool', { stop: () => pool?.end() })
    .add('kafka client', { stop: () => kafka.close() })
    .add('alert interface', {
      start: async () => {
        addresses.public = await listen(api, { host: config.host, port: config.port });
        logger.info('listening', { internal: addresses.internal, public: addresses.public });
      },
      stop: () => closeServer(api, 2_000),
    })
    .add('intake and delivery', {
      start: () => {
        bringingUp = bringUpWithRetries();
      },
      stop: async () => {
        stopping.abort();
        await bringingUp;
        await closeAll(closing);
      },
      stopTimeoutMs: 15_000,
    });

  return { start: () => lifecycle.start(), stop: () => lifecycle.stop(), addresses };
}

function poolOf(pool: Pool | null): Pool {
  if (!pool) throw new Error('the pool is only absent when a store was given');
  return pool;
}

async function closeAll(closing: (() => Promise<void>)[]): Promise<void> {
  for (let close = closing.pop(); close; close = closing.pop()) await close();
}

/** Fresh at every assignment: a topic that was deleted and made again is another topic (X5). */
function topicIds(admin: Pick<KafkaAdmin, 'topicIds'>): (topic: string) => Promise<string> {
  return async (topic) => {
    const id = (await admin.topicIds([topic])).get(topic);
    if (id !== undefined) return id;
    throw new TracehoundError('the topic does not exist', {
      code: 'SEC_ALERTER_TOPIC_MISSING',
      category: 'not_found',
      retriable: true,
      fields: { topic },
    });
  };
}
