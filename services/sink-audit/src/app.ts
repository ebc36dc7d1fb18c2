import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { type AvroCodec, createAvroCodec, createRegistry, type SchemaRegistry } from '@tracehound/avro';
import { kafkaClientOptions, namespaced } from '@tracehound/config';
import { classifyError, namespacedTopic, RECORD_NAMES, SEVERITIES } from '@tracehound/event-model';
import { createInternalServer } from '@tracehound/http';
import {
  createKafkaJsClient,
  type KafkaAdmin,
  type KafkaClient,
  type KafkaConsumer,
  type KafkaProducer,
  readingSummary,
  traceKafka,
} from '@tracehound/kafka';
import { createLifecycle } from '@tracehound/lifecycle';
import {
  createHealth,
  createLogger,
  createMetrics,
  createTracing,
  type Logger,
  verdictCounter,
} from '@tracehound/telemetry';
import { createRecordDecoder, createRecordEncoder } from './adapters/avro-records.ts';
import { systemClock } from './adapters/system-clock.ts';
import { createTopicFacts } from './adapters/topic-facts.ts';
import type { SinkConfig } from './config.ts';
import { openDatabase } from './database.ts';
import { intakeTopics } from './domain/intake-topics.ts';
import { sinkMetrics } from './metrics.ts';
import { createPartitionOwner } from './partition-owner.ts';
import { createSinkPipeline } from './pipeline.ts';
import type { AuditStore } from './ports.ts';
import { createReporter } from './reporter.ts';
import { createCommitStoreStage } from './stages/commit-store.ts';
import { createDeadLetterStage } from './stages/dead-letter.ts';
import { createPublishStage } from './stages/publish.ts';

export type SinkApp = {
  start(): Promise<void>;
  stop(): Promise<void>;
  readonly addresses: { readonly internal: string };
};

/** What a test may replace; the rest stays as in production. */
export type SinkOverrides = {
  readonly kafka?: KafkaClient;
  readonly registry?: SchemaRegistry;
  readonly store?: AuditStore;
  readonly logger?: Logger;
  /** Called when the service cannot go on (an offset out of the log, a changed migration). Default: it is logged. */
  readonly onFatal?: (error: unknown) => void;
};

/** How often idle partitions store their published offset and lag is measured. */
const TEND_EVERY_MS = 2_000;
const ENSURE_EVERY_MS = 24 * 3_600_000;
const BRING_UP_RETRY_MS = 500;

/**
 * The whole service. `start` resolves when the internal port listens; databases and brokers that are away are waited
 * for in the background and readiness says which, so the order in which processes start does not matter.
 */
export function createApp(config: SinkConfig, overrides: SinkOverrides = {}): SinkApp {
  const logger = overrides.logger ?? createLogger({ service: 'sink-audit', level: config.logLevel });
  const onFatal = overrides.onFatal ?? ((error: unknown) => logger.error('fatal', { err: error }));
  const metrics = createMetrics('sink');
  const measured = sinkMetrics(metrics);
  const reporter = createReporter({ logger, metrics: measured, clock: systemClock });
  const health = createHealth({
    onChange: (check, ok, detail) => logger[ok ? 'info' : 'warn']('readiness changed', { check, ok, detail }),
  });
  const database = overrides.store ? null : openDatabase(config, logger);
  const store = overrides.store ?? (database as NonNullable<typeof database>).store; // One of the two is there.
  const tracing = createTracing({ service: 'sink-audit', ...config.tracing }, { metrics, logger });
  const kafka = traceKafka(overrides.kafka ?? openKafka(config, logger), tracing.tracer);
  const codec = createAvroCodec({ registry: overrides.registry ?? createRegistry({ url: config.registry.url }) });
  const internal = createInternalServer({
    host: config.server.host,
    port: config.server.internalPort,
    metrics,
    health,
  });
  const addresses = { internal: '' };
  const topics = intakeTopics(config.namespace, config.mirroredSources);
  const closers: (() => Promise<void>)[] = [];
  const timers: NodeJS.Timeout[] = [];
  let isStopping = false;
  let bringingUp: Promise<void> = Promise.resolve();

  async function bringUp(): Promise<void> {
    await database?.prepare();
    await makeTablePartitions();
    const admin = await kafka.admin();
    closers.push(() => admin.close());
    const producer = await kafka.producer();
    closers.push(() => producer.close());
    const { consumer, tend } = assemble(admin, producer);
    await consumer.start();
    closers.push(() => consumer.stop());
    health.check('kafka', () => describeTopics(admin, consumer));
    health.check('reading', async () => readingSummary([consumer]), { everyMs: 1_000 });
    every(TEND_EVERY_MS, () => tend(admin));
    every(ENSURE_EVERY_MS, makeTablePartitions);
  }

  function assemble(admin: KafkaAdmin, producer: KafkaProducer) {
    const encoder = createRecordEncoder(codec);
    const severityMin = SEVERITIES[config.detectedSeverityMin].ocsf;
    const publish = createPublishStage({
      producer,
      encoder,
      topic: namespacedTopic(config.namespace, 'security.event-detected'),
      onPublished: (count) => measured.published.inc(count),
    });
    const pipeline = createSinkPipeline({
      decoder: createRecordDecoder(codec),
      store,
      deadLetter: createDeadLetterStage({ producer, encoder, clock: systemClock }),
      commitStore: createCommitStoreStage({
        ...config,
        store,
        clock: systemClock,
        onTransaction: reporter.transaction,
      }),
      publish,
      commitOffset: (partition, offset) => void consumer.commit(partition, offset),
      counter: verdictCounter(metrics),
      severityMin,
      batchRowsMax: config.batchRowsMax,
      onStored: reporter.stored,
    });
    const owner = createPartitionOwner({
      store,
      topics,
      facts: createTopicFacts(admin),
      handle: pipeline.handle,
      publish,
      clock: systemClock,
      owner: `${hostname()}/${process.pid}/${randomUUID()}`,
      severityMin,
      reacquireDelayMs: config.reacquireDelayMs,
      events: reporter.events,
    });
    const consumer: KafkaConsumer = kafka.consumer({
      groupId: namespaced(config.namespace, 'sink-audit'),
      topics: [...topics.keys()],
      handler: owner.handlerOf(() => consumer),
      onFatal,
      sessionTimeoutMs: config.sessionTimeoutMs,
      partitionBytesMax: config.fetchBytesMax,
    });
    async function tend(brokers: KafkaAdmin): Promise<void> {
      await owner.tend();
      await reporter.measureLag(owner.held(), brokers);
    }
    return { consumer, tend };
  }

  async function makeTablePartitions(): Promise<void> {
    const made = await store.ensurePartitions();
    measured.tablesMade.inc(made.length);
    if (made.length > 0) logger.info('table partitions made', { count: made.length, last: made.at(-1) });
  }

  async function describeTopics(admin: KafkaAdmin, consumer: KafkaConsumer): Promise<string> {
    const existing = new Set(await admin.listTopics());
    const missing = [...topics.keys()].filter((topic) => !existing.has(topic));
    if (missing.length > 0) throw new Error(`topics are missing: ${missing.join(', ')}`);
    return `${topics.size} topics, ${consumer.assignment().length} partitions assigned`;
  }

  function every(periodMs: number, work: () => Promise<void>): void {
    const timer = setInterval(() => {
      work().catch((error: unknown) => logger.debug('background work failed and comes again', { err: error }));
    }, periodMs);
    timers.push(timer);
  }

  async function bringUpUntilDone(): Promise<void> {
    while (!isStopping) {
      try {
        await bringUp();
        health.set('start', true, 'started');
        return;
      } catch (error) {
        await closeAll(closers);
        const { code, retriable } = classifyError(error);
        if (!retriable) return onFatal(error);
        health.set('start', false, `waiting: ${code}`);
        await new Promise((resolve) => setTimeout(resolve, BRING_UP_RETRY_MS));
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
        health
          .check('postgres', () => store.ping(), { everyMs: 2_000 })
          .check('registry', () => proveRegistry(codec), { everyMs: 5_000 })
          .check('partitions', async () => reporter.troubleSummary(), { everyMs: 1_000 });
        health.start();
      },
      stop: () => health.stop(),
    })
    .add('database', { stop: () => database?.close() })
    .add('kafka', { stop: () => kafka.close() })
    .add('intake', {
      start: () => {
        bringingUp = bringUpUntilDone();
      },
      stop: async () => {
        isStopping = true;
        await bringingUp;
        for (const timer of timers) clearInterval(timer);
        await closeAll(closers); // The consumer first: it was opened last, and drains into the others.
      },
      stopTimeoutMs: 15_000,
    });

  return { start: () => lifecycle.start(), stop: () => lifecycle.stop(), addresses };
}

function openKafka(config: SinkConfig, logger: Logger): KafkaClient {
  return createKafkaJsClient({
    ...kafkaClientOptions(config.kafka, 'sink-audit'),
    logger: (level, message, fields) => logger[level](message, fields),
  });
}

/** Ids of all schemas of this build, once: what we read decodes also while the registry is away. */
async function proveRegistry(codec: AvroCodec): Promise<string> {
  await codec.prepare(RECORD_NAMES);
  return 'our schemas are registered';
}

/** Newest first, each once. */
async function closeAll(closers: (() => Promise<void>)[]): Promise<void> {
  for (let close = closers.pop(); close; close = closers.pop()) await close();
}
