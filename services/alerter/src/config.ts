import { RETRY_SCHEDULE_MS } from '@tracehound/alerting';
import {
  boolean,
  type ConfigOf,
  type ConfigSpec,
  commonConfig,
  defineConfig,
  describe,
  duration,
  integer,
  kafkaConfig,
  list,
  load,
  optional,
  postgresConfig,
  registryConfig,
  secretFile,
  serverConfig,
  string,
  textFile,
  tracingConfig,
  url,
} from '@tracehound/config';

const fields = {
  ...commonConfig,
  ...serverConfig('ALERTER'),
  kafka: kafkaConfig,
  registry: registryConfig,
  tracing: tracingConfig,
  postgres: postgresConfig,
  port: integer({
    key: 'TRACEHOUND_ALERTER_PORT',
    default: 0,
    min: 0,
    max: 65_535,
    unit: 'port',
    about: 'Port of the HTTP interface for alerts and deliveries; 0 takes a free one.',
  }),
  receivers: optional(
    textFile({
      key: 'TRACEHOUND_ALERTER_RECEIVERS_FILE',
      about: 'YAML or JSON with receivers and routes per organization; without it every notice goes to the console.',
    }),
  ),
  tokens: optional(
    secretFile({
      key: 'TRACEHOUND_ALERTER_TOKENS_FILE',
      about: 'YAML or JSON list of bearer tokens and the organizations they may read; without it nobody may read.',
    }),
  ),
  linkBase: optional(
    url({
      key: 'TRACEHOUND_ALERTER_LINK_BASE',
      protocols: ['http', 'https'],
      about: 'Address that links in notices start with; without it the address of this HTTP interface.',
    }),
  ),
  homes: list({
    key: 'TRACEHOUND_ALERTER_HOMES',
    default: [],
    pattern: /^[^\s,]{1,200}=[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$/,
    allowed: 'organization=cluster id, *=cluster id for all others, comma separated',
    about:
      'Which deployment tells people about an organization, where several share events; the same in all of them. Not named: this one.',
  }),
  migrate: boolean({
    key: 'TRACEHOUND_ALERTER_MIGRATE',
    default: true,
    about: 'Create the database and apply deploy/migrations at the start; off where someone else does.',
  }),
  role: string({
    key: 'TRACEHOUND_ALERTER_ROLE',
    default: 'alerting_writer',
    pattern: /^[a-z_][a-z0-9_]{0,62}$/,
    allowed: 'a role the login is a member of',
    about: 'Role of every database session; of the audit store it may call three functions and nothing else.',
  }),
  refetchWaitMs: duration({
    key: 'TRACEHOUND_ALERTER_REFETCH_WAIT',
    default: 2_000,
    min: 0,
    max: 60_000,
    about: 'How long an alert waits for its audit row before a thin notice goes out.',
  }),
  leaseMs: duration({
    key: 'TRACEHOUND_ALERTER_LEASE',
    default: 15_000,
    min: 500,
    max: 600_000,
    about:
      'How long one attempt owns its group; after a crash the next owner waits for it. Must be longer than every receiver time-out.',
  }),
  lateMs: duration({
    key: 'TRACEHOUND_ALERTER_LATE',
    default: 300_000,
    min: 1_000,
    max: 86_400_000,
    about: 'Age from which a notice says that it is late.',
  }),
  sessionTimeoutMs: duration({
    key: 'TRACEHOUND_ALERTER_SESSION_TIMEOUT',
    default: 30_000,
    min: 6_000,
    max: 300_000,
    about: 'Silence after which the group gives the partitions of this process to others.',
  }),
  retrySchedule: list({
    key: 'TRACEHOUND_ALERTER_RETRY_SCHEDULE',
    default: RETRY_SCHEDULE_MS.map((wait) => String(wait)),
    pattern: /^[0-9]{1,9}$/,
    min: 1,
    allowed: 'milliseconds, comma separated',
    about: 'Waits after the first, second and further failed attempts; after the last one the delivery is dead.',
  }),
} as const;

export type AlerterConfig = ConfigOf<typeof fields>;

export const alerterConfig: ConfigSpec<typeof fields> = defineConfig(fields, { prefix: 'TRACEHOUND_ALERTER_' });

/** Throws `ConfigError` with every bad key. */
export function loadConfig(env: Readonly<Record<string, string | undefined>>): AlerterConfig {
  return load(alerterConfig, env);
}

export function describeConfig(): string {
  return describe(alerterConfig);
}
