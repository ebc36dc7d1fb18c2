import { setTimeout as delay } from 'node:timers/promises';
import { createAvroCodec, createRegistry, type SchemaRegistry } from '@tracehound/avro';
import { kafkaClientOptions, namespaced } from '@tracehound/config';
import { classifyError, namespacedTopic, RECORD_NAMES, TracehoundError } from '@tracehound/event-model';
import { createInternalServer } from '@tracehound/http';
import {
  createKafkaJsClient,
  type KafkaBatch,
  type KafkaClient,
  type KafkaConsumer,
  type PartitionHandler,
  readingSummary,
  type StartPosition,
  type TopicPartition,
} from '@tracehound/kafka';
import { createLifecycle, faultPoint } from '@tracehound/lifecycle';
import { RetryRequested } from '@tracehound/pipeline';
import {
  createHealth,
  createLogger,
  createMetrics,
  defineMetrics,
  type Logger,
  verdictCounter,
} from '@tracehound/telemetry';
import type { HandlerConfig } from './config.ts';
import { createDeadLetters } from './dead-letters.ts';
import { type Handler, type HandlerContext, type HandlerTopic, RetryLaterError } from './handler.ts';
import { createHandlePath } from './pipeline.ts';

export type HandlerApp = {
  start(): Promise<void>;
  stop(): Promise<void>;
  readonly addresses: { readonly internal: string };
};

/** What a test may replace. */
export type HandlerOverrides = {
  readonly kafka?: KafkaClient;
  readonly registry?: SchemaRegistry;
  readonly logger?: Logger;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly faultPoint?: (name: string) => void;
  readonly onFatal?: (error: unknown) => void;
};

const BRING_UP_RETRY_MS = 1_000;
/** The longest a receiver's wish to be left alone is obeyed at once; after it the record is tried again. */
const RETRY_LATER_MS_MAX = 60_000;

/**
 * A handler as a service: consumer group `handler-<name>`, health and metrics on the internal port, a drain on stop. Servers that
 * are away are waited for and readiness says which. Rejects when the handler's `open` does.
 */
export function createHandlerApp(
  handler: Handler,
  config: HandlerConfig,
  overrides: HandlerOverrides = {},
): HandlerApp {
  const service = `handler-${handler.name}`;
  const logger = overrides.logger ?? createLogger({ service, level: config.logLevel });
  const metrics = createMetrics('handler');
  const { settled, stuck } = defineMetrics(metrics, {
    settled: { type: 'counter', name: 'handler_batches_settled_total', help: 'Batches whose effects are durable.' },
    stuck: {
      type: 'gauge',
      name: 'handler_partitions_waiting',
      help: 'Partitions that wait because a record failed and comes again.',
    },
  });
  const health = createHealth({
    onChange: (check, ok, detail) => logger[ok ? 'info' : 'warn']('readiness changed', { check, ok, detail }),
  });
  const kafka =
    overrides.kafka ??
    createKafkaJsClient({
      ...kafkaClientOptions(config.kafka, service),
      logger: (level, message, fields) => logger[level](message, fields),
    });
  const codec = createAvroCodec({ registry: overrides.registry ?? createRegistry({ url: config.registry.url }) });
  const internal = createInternalServer({ ...config.server, port: config.server.internalPort, metrics, health });
  const addresses = { internal: '' };
  const stopping = new AbortController();
  const context: HandlerContext = { env: overrides.env ?? process.env, logger, signal: stopping.signal };
  const names = new Map<string, HandlerTopic>(
    handler.topics.map((topic) => [namespacedTopic(config.namespace, topic), topic]),
  );
  const counter = verdictCounter(metrics);
  const problems = new Map<string, string>();
  let bringingUp: Promise<void> = Promise.resolve();
  let closing: (() => Promise<void>)[] = [];

  async function bringUp(): Promise<void> {
    await codec.prepare(RECORD_NAMES);
    const admin = await kafka.admin();
    const present = new Set(await admin.listTopics());
    await admin.close();
    const missing = [...names.keys()].filter((topic) => !present.has(topic));
    if (missing.length > 0) throw new Error(`topics are missing: ${missing.join(', ')}`);
    const producer = await kafka.producer();
    const deadLetters = createDeadLetters({ producer, codec, service, now: Date.now });
    const holder: { consumer: KafkaConsumer | null } = { consumer: null };
    const consumer = kafka.consumer({
      groupId: namespaced(config.namespace, service),
      topics: [...names.keys()],
      handler: partitions(deadLetters, holder),
      onFatal: (error) => fatal(error),
      sessionTimeoutMs: config.sessionTimeoutMs,
    });
    holder.consumer = consumer;
    await consumer.start();
    closing = [() => consumer.stop(), () => producer.close()];
    health.set('start', true, `listens to ${[...names.values()].join(', ')}`);
    health.check('reading', async () => readingSummary([consumer]), { everyMs: 500 });
    health.check('records', async () => recordsSummary(), { everyMs: 500 });
  }

  function partitions(
    deadLetters: ReturnType<typeof createDeadLetters>,
    holder: { readonly consumer: KafkaConsumer | null },
  ): PartitionHandler {
    const nexts = new Map<string, bigint>();
    return {
      async assigned(): Promise<StartPosition> {
        return { kind: 'committed' };
      },
      async batch(batch: KafkaBatch) {
        const at: TopicPartition = { topic: batch.topic, partition: batch.partition };
        const place = `${names.get(batch.topic)}/${batch.partition}`;
        const path = createHandlePath({
          handler,
          context,
          codec,
          counter,
          deadLetters,
          topicOf: (topic) => names.get(topic) as HandlerTopic, // Only these topics are consumed.
          faultPoint: overrides.faultPoint ?? faultPoint,
          onSettled: (next) => {
            nexts.set(place, next);
            settled.inc();
            // Not awaited: a commit that comes late or never costs repeated records after a restart, nothing else.
            void holder.consumer?.commit(at, next);
          },
        });
        const next = nexts.get(place) ?? 0n;
        try {
          await path(batch.records.filter(({ offset }) => offset >= next));
          problems.delete(place);
        } catch (error) {
          problems.set(place, reasonOf(error));
          logger.warn('a record could not be handled and comes again', { place, err: error });
          await waitAsAsked(error);
          throw error;
        } finally {
          stuck.set(problems.size);
        }
      },
      async revoked({ topic, partition }) {
        nexts.delete(`${names.get(topic)}/${partition}`);
        problems.delete(`${names.get(topic)}/${partition}`);
      },
    };
  }

  async function waitAsAsked(error: unknown): Promise<void> {
    const cause = error instanceof RetryRequested ? error.cause : null;
    if (!(cause instanceof RetryLaterError)) return;
    const waitMs = Math.min(cause.afterMs, RETRY_LATER_MS_MAX);
    await delay(waitMs, undefined, { signal: stopping.signal }).catch(() => undefined);
  }

  function recordsSummary(): string {
    const [first] = problems;
    if (first === undefined) return 'every record so far was handled';
    throw new Error(`${problems.size} partitions wait, among them ${first[0]}: ${first[1]}`);
  }

  function fatal(error: unknown): void {
    health.set('fatal', false, error instanceof Error ? error.message : 'the handler cannot go on');
    logger.error('the handler cannot go on', { err: error });
    overrides.onFatal?.(error);
  }

  async function bringUpWithRetries(): Promise<void> {
    while (!stopping.signal.aborted) {
      try {
        return await bringUp();
      } catch (error) {
        health.set('start', false, `waiting: ${reasonOf(error)}`);
        await delay(BRING_UP_RETRY_MS, undefined, { signal: stopping.signal }).catch(() => undefined);
      }
    }
  }

  const lifecycle = createLifecycle(logger)
    .add('handler', { start: () => handler.open?.(context), stop: () => handler.close?.(context) })
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
    .add('consumer', {
      start: () => {
        bringingUp = bringUpWithRetries();
      },
      stop: async () => {
        stopping.abort();
        await bringingUp;
        for (const close of closing.splice(0)) await close();
      },
      stopTimeoutMs: 20_000,
    });

  return { start: () => lifecycle.start(), stop: () => lifecycle.stop(), addresses };
}

/** In words without data of the record: the code, and the message of an error of ours. */
function reasonOf(error: unknown): string {
  const cause = error instanceof RetryRequested ? error.cause : error;
  const { code } = classifyError(cause);
  return cause instanceof TracehoundError ? `${code} (${cause.message})` : code;
}
