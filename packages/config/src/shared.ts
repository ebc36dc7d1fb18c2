import { duration, enumOf, type Field, integer, list, optional, secretFile, string, textFile, url } from './fields.ts';
import type { ConfigOf } from './load.ts';
import type { Secret } from './secret.ts';

type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** Keys every service reads (docs/design/contracts.md, section 1). */
export const commonConfig: {
  readonly namespace: Field<string>;
  readonly clusterId: Field<string>;
  readonly logLevel: Field<LogLevel>;
} = {
  namespace: string({
    key: 'TRACEHOUND_NAMESPACE',
    default: '',
    pattern: /^[a-z0-9][a-z0-9_-]{0,62}$/,
    allowed: 'empty, or lower-case letters, digits, - and _, 63 at most',
    about: 'Prefix of topics, consumer groups and Redis keys, so that several instances share one set of servers.',
  }),
  clusterId: string({
    key: 'TRACEHOUND_CLUSTER_ID',
    default: 'local',
    pattern: /^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$/,
    allowed: 'letters, digits, dot, - and _, 63 at most',
    about: 'Name of this installation, written into every record.',
  }),
  logLevel: enumOf({
    key: 'TRACEHOUND_LOG_LEVEL',
    default: 'info',
    values: ['debug', 'info', 'warn', 'error'],
    about: 'Least important level that is logged.',
  }),
};

/** Of every service that reads the intake topics (docs/cross-network.md). */
export const mirroredSources: Field<readonly string[]> = list({
  key: 'TRACEHOUND_MIRRORED_SOURCES',
  default: [],
  pattern: /^[A-Za-z0-9][A-Za-z0-9._-]{0,199}\.security\.(events|telemetry)$/,
  allowed: '<alias>.security.events or <alias>.security.telemetry, as they are named in the cluster, comma separated',
  about: 'Topics that mirror intake topics of other deployments: correlated and audited like our own.',
});

const HOST_AND_PORT = /^[^\s:/]+:\d{1,5}$|^\[[0-9a-fA-F:]+\]:\d{1,5}$/;

export type KafkaConfigSpec = {
  readonly brokers: Field<readonly string[]>;
  readonly tlsCa: Field<string | null>;
  readonly saslMechanism: Field<'plain' | 'scram-sha-256' | 'scram-sha-512' | null>;
  readonly saslUsername: Field<string | null>;
  readonly saslPassword: Field<Secret | null>;
  readonly unpackedBatchBytesMax: Field<number>;
};

export const kafkaConfig: KafkaConfigSpec = {
  brokers: list({
    key: 'TRACEHOUND_KAFKA_BROKERS',
    min: 1,
    pattern: HOST_AND_PORT,
    allowed: 'host:port, comma separated',
    about: 'Kafka brokers to ask first.',
  }),
  tlsCa: optional(
    textFile({
      key: 'TRACEHOUND_KAFKA_TLS_CA_FILE',
      about: 'Certificate authority of the brokers (PEM); setting it turns TLS on.',
    }),
  ),
  saslMechanism: optional(
    enumOf({
      key: 'TRACEHOUND_KAFKA_SASL_MECHANISM',
      values: ['plain', 'scram-sha-256', 'scram-sha-512'],
      about: 'How to log in at the brokers.',
    }),
  ),
  saslUsername: optional(string({ key: 'TRACEHOUND_KAFKA_SASL_USERNAME', about: 'User at the brokers.' })),
  saslPassword: optional(
    secretFile({ key: 'TRACEHOUND_KAFKA_SASL_PASSWORD_FILE', about: 'File with the password at the brokers.' }),
  ),
  unpackedBatchBytesMax: integer({
    key: 'TRACEHOUND_KAFKA_UNPACKED_BATCH_BYTES_MAX',
    default: 33_554_432,
    min: 1_048_576,
    max: 1_073_741_824,
    unit: 'bytes',
    about: 'What one fetched record batch may take unpacked; the partition of a larger one halts and is named.',
  }),
};

/** Options of `createKafkaClient` from the shared keys; a login needs mechanism, user and password together. */
export function kafkaClientOptions(
  config: ConfigOf<KafkaConfigSpec>,
  clientId: string,
): {
  readonly brokers: readonly string[];
  readonly clientId: string;
  readonly unpackedBatchBytesMax: number;
  readonly tls?: { readonly ca: string };
  readonly sasl?: {
    readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512';
    readonly username: string;
    readonly password: string;
  };
} {
  const { saslMechanism: mechanism, saslUsername: username, saslPassword: password } = config;
  return {
    brokers: config.brokers,
    clientId,
    unpackedBatchBytesMax: config.unpackedBatchBytesMax,
    ...(config.tlsCa === null ? {} : { tls: { ca: config.tlsCa } }),
    ...(mechanism && username && password ? { sasl: { mechanism, username, password: password.reveal() } } : {}),
  };
}

export const registryConfig: { readonly url: Field<string> } = {
  url: url({
    key: 'TRACEHOUND_REGISTRY_URL',
    protocols: ['http', 'https'],
    about: 'Schema registry with the Confluent interface.',
  }),
};

/** The Redis that holds correlation state; must run `maxmemory-policy noeviction` (X8). */
export const redisStateConfig: { readonly url: Field<string>; readonly sentinels: Field<readonly string[] | null> } = {
  url: url({
    key: 'TRACEHOUND_REDIS_STATE_URL',
    protocols: ['redis', 'rediss'],
    about: 'Redis with correlation state; its maxmemory-policy must be noeviction.',
  }),
  sentinels: optional(
    list({
      key: 'TRACEHOUND_REDIS_STATE_SENTINELS',
      min: 1,
      pattern: HOST_AND_PORT,
      allowed: 'host:port, comma separated',
      about:
        'Sentinels to ask which server is the primary; the host in the address of the state Redis is then the name they watch it by.',
    }),
  ),
};

/** The Redis of limits and the duplicate courtesy: losing it costs accuracy of limits, never events (X6). */
export const redisEdgeConfig: { readonly url: Field<string> } = {
  url: url({
    key: 'TRACEHOUND_REDIS_EDGE_URL',
    protocols: ['redis', 'rediss'],
    about: 'Redis for limits and the duplicate check at intake; may be lost at any time.',
  }),
};

export const postgresConfig: { readonly url: Field<string> } = {
  url: url({
    key: 'TRACEHOUND_POSTGRES_URL',
    protocols: ['postgres', 'postgresql'],
    about: 'PostgreSQL database; the password may stand in the address, TLS by sslmode=.',
  }),
};

export type TracingConfigSpec = {
  readonly endpoint: Field<string | null>;
  readonly samplePerMillion: Field<number>;
  readonly queueSpansMax: Field<number>;
  readonly timeoutMs: Field<number>;
};

/** Tracing (docs/tracing.md); nothing is loaded without an endpoint. */
export const tracingConfig: TracingConfigSpec = {
  endpoint: optional(
    url({
      key: 'TRACEHOUND_TRACING_ENDPOINT',
      protocols: ['http', 'https'],
      about:
        'Where spans go by OTLP over HTTP, path included (http://collector:4318/v1/traces); without it tracing is off.',
    }),
  ),
  samplePerMillion: integer({
    key: 'TRACEHOUND_TRACING_SAMPLE_PER_MILLION',
    default: 10_000,
    min: 0,
    max: 1_000_000,
    unit: 'requests per million',
    about:
      'Sampling ratio of requests at the gateway; what follows from a sampled request is recorded by every service.',
  }),
  queueSpansMax: integer({
    key: 'TRACEHOUND_TRACING_QUEUE_MAX',
    default: 2_048,
    min: 1,
    max: 1_000_000,
    unit: 'spans',
    about: 'Spans that wait for the exporter; more are dropped and counted.',
  }),
  timeoutMs: duration({
    key: 'TRACEHOUND_TRACING_TIMEOUT',
    default: 5_000,
    min: 100,
    max: 60_000,
    about: 'Longest time of one export, and of the last one at the end of the process.',
  }),
};

export type ServerConfigSpec = { readonly host: Field<string>; readonly internalPort: Field<number> };

/** Host and internal port of one service; `word` is GATEWAY, CORRELATOR, SINK or ALERTER. */
export function serverConfig(word: 'GATEWAY' | 'CORRELATOR' | 'SINK' | 'ALERTER' | 'HANDLER'): ServerConfigSpec {
  return {
    host: string({
      key: `TRACEHOUND_${word}_HOST`,
      default: '127.0.0.1',
      pattern: /^[a-zA-Z0-9.:_-]{1,255}$/,
      allowed: 'an address or host name',
      about: 'Address to listen on.',
    }),
    internalPort: integer({
      key: `TRACEHOUND_${word}_INTERNAL_PORT`,
      default: 0,
      min: 0,
      max: 65_535,
      unit: 'port',
      about: 'Port of metrics and health; 0 takes a free one.',
    }),
  };
}

/** `security.events` under namespace `ns` is `ns.security.events`; an empty namespace changes nothing. */
export function namespaced(namespace: string, name: string): string {
  return namespace === '' ? name : `${namespace}.${name}`;
}
