import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { createRegistry } from '@tracehound/avro';
import { kafkaClientOptions, namespaced } from '@tracehound/config';
import { createEnrichment } from '@tracehound/enrich';
import { closeServer, createHttpServer, createInternalServer, listen } from '@tracehound/http';
import { createKafkaJsClient, type KafkaClient, traceKafka } from '@tracehound/kafka';
import { createLifecycle, faultPoint } from '@tracehound/lifecycle';
import { connectRedis, type Redis } from '@tracehound/redis';
import {
  createHealth,
  createLogger,
  createMetrics,
  createTracing,
  type Logger,
  verdictCounter,
} from '@tracehound/telemetry';
import { createApiKeyFile } from './adapters/api-key-file.ts';
import { createAvroEvents } from './adapters/avro-events.ts';
import { loadEnrichers } from './adapters/enricher-modules.ts';
import { openGeoDatabases } from './adapters/geo-database.ts';
import { registerIntakeRoutes } from './adapters/intake-routes.ts';
import { createKafkaEvents } from './adapters/kafka-events.ts';
import { createRedisEnrichmentStates } from './adapters/redis-enrichment-states.ts';
import { createRedisRecentEvents } from './adapters/redis-recent-events.ts';
import type { GatewayConfig } from './config.ts';
import { createInFlight } from './domain/in-flight.ts';
import { type IpHashKey, ipHashKey } from './domain/ip-hash.ts';
import { createTokenBuckets } from './domain/token-bucket.ts';
import { createGatewayMetrics } from './metrics.ts';
import { createGatewayPipeline } from './pipeline.ts';

export type GatewayApp = {
  start(): Promise<void>;
  stop(): Promise<void>;
  readonly addresses: { readonly internal: string; readonly public: string };
};

/** What a test may replace. */
export type GatewayOverrides = {
  readonly logger?: Logger;
  readonly kafka?: KafkaClient;
  readonly now?: () => number;
  /** Off where several apps share one process. */
  readonly processMetrics?: boolean;
  readonly keyFilePollMs?: number;
};

/** A third-party event may be as large as its fields and their JSON dressing: four times the 256 kB of its fields. */
const EXTERNAL_BYTES_MAX = 1_048_576;

/** Builds the gateway; nothing is opened before `start`. */
export async function createApp(config: GatewayConfig, overrides: GatewayOverrides = {}): Promise<GatewayApp> {
  const now = overrides.now ?? Date.now;
  const logger = overrides.logger ?? createLogger({ service: 'producer-gateway', level: config.common.logLevel });
  const metrics = createMetrics('gateway', { processMetrics: overrides.processMetrics ?? true });
  const gatewayMetrics = createGatewayMetrics(metrics);
  const health = createHealth({
    onChange: (check, ok, detail) => logger[ok ? 'info' : 'warn']('health changed', { check, ok, detail }),
  });
  const keys = createApiKeyFile({
    path: config.apiKeysFile,
    ...(overrides.keyFilePollMs === undefined ? {} : { pollMs: overrides.keyFilePollMs }),
    onReload: (outcome, error) => {
      gatewayMetrics.keyReloads.inc({ outcome });
      if (outcome === 'loaded') logger.info('API keys read again');
      else logger.error('API keys cannot be read, the old ones stay in force', { err: error });
    },
  });
  const tracing = createTracing({ service: 'producer-gateway', ...config.tracing }, { metrics, logger });
  const client =
    overrides.kafka ??
    createKafkaJsClient({
      ...kafkaClientOptions(config.kafka, 'producer-gateway'),
      logger: (level, message, fields) => logger[level](message, fields),
    });
  const events = createKafkaEvents({
    client: traceKafka(client, tracing.tracer),
    produceTimeoutMs: config.produceTimeoutMs,
    onProduced: (topic, seconds, bytes) => {
      gatewayMetrics.produceSeconds.observe(seconds);
      gatewayMetrics.producedBytes.inc({ topic }, bytes);
    },
    onFailure: (topic, error, count) =>
      logger.warn('events were not acknowledged', { topic, events: count, err: error }),
  });
  const avro = createAvroEvents(createRegistry({ url: config.registry.url }));
  const redis: Redis = await connectRedis(config.redisEdge.url, {
    role: 'edge',
    commandTimeoutMs: config.dedupTimeoutMs,
    lazy: true,
    onState: (state, error) => {
      if (state === 'up') logger.info('duplicate check available');
      else logger.warn('duplicate check unavailable, events go on without it', error === null ? {} : { err: error });
    },
  });
  const inFlight = createInFlight();
  const pipeline = createGatewayPipeline({
    ...config,
    inFlight,
    keys,
    encoder: avro,
    producer: events,
    recent: createRedisRecentEvents({ redis, namespace: config.common.namespace, windowMs: config.dedupWindowMs }),
    buckets: createTokenBuckets({ perSecond: config.keyEventsPerSecond, burst: config.keyEventsBurst }),
    counter: verdictCounter(metrics),
    now,
    steadyNow: overrides.now ?? (() => performance.now()),
    topicName: (topic) => namespaced(config.common.namespace, topic),
    onDedupUnknown: () => gatewayMetrics.dedupUnknown.inc(),
    enrichment: createEnrichment(await loadEnrichers(config.enrichers)),
    states: createRedisEnrichmentStates({ redis, namespace: config.common.namespace }),
    onEnrichUnknown: () => gatewayMetrics.enrichUnknown.inc(),
    onEnrichForgotten: () => gatewayMetrics.enrichForgotten.inc(),
    geo: openGeoDatabases(config.geoDatabases),
    clusterId: config.common.clusterId,
    ipHashKey: addressKey(config, logger),
    externalBytesMax: EXTERNAL_BYTES_MAX,
  });
  const server = createHttpServer({
    bodyBytesMax: config.bodyBytesMax,
    requestTimeoutMs: config.bodyTimeoutMs + config.produceTimeoutMs,
    onError: (error, requestId) => logger.error('a request failed', { requestId, err: error }),
  });
  registerIntakeRoutes(server, {
    pipeline,
    metrics: gatewayMetrics,
    inFlight,
    tracer: tracing.tracer,
    bounds: { ...config, timeoutMs: config.bodyTimeoutMs },
    now,
  });
  const internal = createInternalServer({
    host: config.server.host,
    port: config.server.internalPort,
    metrics,
    health,
  });
  const addresses = { internal: '', public: '' };
  const topics = ['security.events', 'security.telemetry'].map((topic) => namespaced(config.common.namespace, topic));
  health
    .check('kafka', () => events.prove(topics), { everyMs: 5_000, timeoutMs: 4_000 })
    .check('schemas', () => avro.prove(), { everyMs: 500 })
    .set('drain', true, '');
  health.set('places', true, config.geoDatabases.length > 0 ? 'by the geo database' : 'unknown: no geo database');

  const lifecycle = createLifecycle(logger)
    .add('tracing', tracing)
    .add('internal server', {
      start: async () => {
        addresses.internal = await internal.start();
      },
      stop: () => internal.stop(),
    })
    .add('api keys', { start: () => keys.start(), stop: () => keys.stop() })
    .add('edge redis', { stop: () => redis.disconnect() })
    .add('schemas', { start: () => avro.start(), stop: () => avro.stop() })
    .add('kafka', { start: () => events.start(), stop: () => events.stop(), stopTimeoutMs: 8_000 })
    .add('health', { start: () => health.start(), stop: () => health.stop() })
    .add('public server', {
      start: async () => {
        addresses.public = await listen(server, { host: config.server.host, port: config.port });
      },
      stop: () => closeServer(server),
      stopTimeoutMs: 12_000,
    })
    .add('drain', {
      stop: async () => {
        health.set('drain', false, 'draining');
        await delay(config.drainDelayMs);
      },
      stopTimeoutMs: 11_000,
    });

  return {
    addresses,
    async start() {
      faultPoint('g:on-start');
      await lifecycle.start();
      logger.info('listening', { ...addresses });
    },
    stop: () => lifecycle.stop(),
  };
}

function addressKey(config: GatewayConfig, logger: Logger): IpHashKey {
  if (config.ipHashKey !== null) return ipHashKey(config.ipHashKey.reveal());
  logger.warn('no key for address hashes is configured: hashes will differ after a restart');
  return ipHashKey(randomBytes(32).toString('base64'));
}
