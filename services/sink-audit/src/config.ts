import {
  boolean,
  bytes,
  type ConfigOf,
  commonConfig,
  defineConfig,
  describe,
  duration,
  enumOf,
  integer,
  kafkaConfig,
  load,
  mirroredSources,
  postgresConfig,
  registryConfig,
  serverConfig,
  string,
  tracingConfig,
} from '@tracehound/config';
import { SEVERITY_SYMBOLS } from '@tracehound/event-model';

/** Every key of the sink (the README lists them from here). */
export const sinkConfig = defineConfig(
  {
    ...commonConfig,
    kafka: kafkaConfig,
    registry: registryConfig,
    tracing: tracingConfig,
    mirroredSources,
    postgres: postgresConfig,
    server: serverConfig('SINK'),
    migrate: boolean({
      key: 'TRACEHOUND_SINK_MIGRATE',
      default: true,
      about: 'Create the database and apply deploy/migrations at the start; off where someone else does.',
    }),
    role: string({
      key: 'TRACEHOUND_SINK_ROLE',
      default: 'audit_writer',
      pattern: /^[a-z_][a-z0-9_]{0,62}$/,
      allowed: 'a role the login is a member of',
      about: 'Role of every database session; it can add rows and nothing else.',
    }),
    batchRowsMax: integer({
      key: 'TRACEHOUND_SINK_BATCH_ROWS_MAX',
      default: 5_000,
      min: 1,
      max: 50_000,
      unit: 'rows',
      about: 'Rows that start a transaction at once, and rows of one partition in one transaction at most.',
    }),
    lingerMs: duration({
      key: 'TRACEHOUND_SINK_LINGER',
      default: 20,
      min: 0,
      max: 5_000,
      about: 'Wait for rows of other partitions before a smaller transaction starts; adds to the latency of a row.',
    }),
    writersMax: integer({
      key: 'TRACEHOUND_SINK_WRITERS_MAX',
      default: 2,
      min: 1,
      max: 16,
      unit: 'connections',
      about: 'Transactions at the same time; more than the database has cores brings nothing.',
    }),
    fetchBytesMax: bytes({
      key: 'TRACEHOUND_SINK_FETCH_BYTES_MAX',
      default: 2 * 1_048_576,
      min: 65_536,
      max: 64 * 1_048_576,
      about: 'Upper bound of one fetch per partition; twice this is held in memory per partition.',
    }),
    monthsAhead: integer({
      key: 'TRACEHOUND_SINK_MONTHS_AHEAD',
      default: 3,
      min: 1,
      max: 24,
      unit: 'months',
      about: 'Months whose table partitions are made in advance.',
    }),
    detectedSeverityMin: enumOf({
      key: 'TRACEHOUND_SINK_DETECTED_SEVERITY_MIN',
      default: 'HIGH',
      values: SEVERITY_SYMBOLS,
      about: 'Events from this severity on are announced on security.event-detected; those of family security always.',
    }),
    reacquireDelayMs: duration({
      key: 'TRACEHOUND_SINK_REACQUIRE_DELAY',
      default: 3_000,
      min: 0,
      max: 60_000,
      about: 'Pause before a partition that another sink has taken is taken back, if the group still gives it to us.',
    }),
    sessionTimeoutMs: duration({
      key: 'TRACEHOUND_SINK_SESSION_TIMEOUT',
      default: 30_000,
      min: 6_000,
      max: 300_000,
      about: 'Silence after which the group gives the partitions of this process to others.',
    }),
  },
  { prefix: 'TRACEHOUND_SINK_' },
);

export type SinkConfig = ConfigOf<typeof sinkConfig.fields>;

/** Reads the environment; throws `ConfigError` naming every bad key. */
export function loadSinkConfig(env: Readonly<Record<string, string | undefined>>): SinkConfig {
  return load(sinkConfig, env);
}

export function describeSinkConfig(): string {
  return describe(sinkConfig);
}
