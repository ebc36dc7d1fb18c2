import {
  type ConfigOf,
  commonConfig,
  defineConfig,
  describe,
  duration,
  enumOf,
  integer,
  kafkaConfig,
  list,
  load,
  mirroredSources,
  optional,
  redisStateConfig,
  registryConfig,
  secretFile,
  serverConfig,
  textFile,
  tracingConfig,
} from '@tracehound/config';
import { intakeTopicNames, namespacedTopic } from '@tracehound/event-model';

/** The setting that lets unreadable records go; named by the error of the limit. */
export const DEAD_LETTER_SHARE_KEY = 'TRACEHOUND_CORRELATOR_DEAD_LETTER_SHARE_MAX';

/** Processes not asked for by number: more would mostly idle, since partitions are fewer. */
const WORKERS_MAX_UNASKED = 16;

/** Every key of the correlator (README lists them from here). */
const correlatorConfig = defineConfig(
  {
    ...commonConfig,
    kafka: kafkaConfig,
    registry: registryConfig,
    tracing: tracingConfig,
    mirroredSources,
    redisState: redisStateConfig,
    server: serverConfig('CORRELATOR'),
    stages: list({
      key: 'TRACEHOUND_CORRELATOR_STAGES',
      default: ['a', 'b'],
      min: 1,
      pattern: /^[ab]$/,
      allowed: 'a, b or a,b',
      about: 'Which stages run in this process: a matches, b correlates.',
    }),
    workers: integer({
      key: 'TRACEHOUND_CORRELATOR_WORKERS',
      default: 0,
      min: 0,
      max: 64,
      unit: 'processes',
      about:
        'Processes that share the partitions, each with its memory; 0: one per core but one, 16 at most. More than partitions idle.',
    }),
    ruleKeys: optional(
      textFile({
        key: 'TRACEHOUND_RULE_KEYS_FILE',
        about:
          'Keys that may put rules into force, and how many must have signed; without it anybody who may write to the topic.',
      }),
    ),
    breakerKey: optional(
      secretFile({
        key: 'TRACEHOUND_CORRELATOR_BREAKER_KEY_FILE',
        about:
          'Private key (Ed25519, PEM) that signs breakers where activations must be signed; the keys file gives it the role breaker. Without it floods are only logged there.',
      }),
    ),
    tickMs: duration({
      key: 'TRACEHOUND_CORRELATOR_TICK',
      default: 500,
      min: 50,
      max: 10_000,
      about: 'Longest silence of a source partition before a marker is written into it (X4).',
    }),
    flushMs: duration({
      key: 'TRACEHOUND_CORRELATOR_FLUSH',
      default: 150,
      min: 10,
      max: 5_000,
      about: 'Pause between two flushes of a partition without alerts; one with alerts is flushed at once.',
    }),
    flushGapMs: duration({
      key: 'TRACEHOUND_CORRELATOR_FLUSH_GAP',
      default: 10,
      min: 0,
      max: 1_000,
      about: 'Least pause between two flushes of a partition with alerts.',
    }),
    dirtyGroupsMax: integer({
      key: 'TRACEHOUND_CORRELATOR_DIRTY_GROUPS_MAX',
      default: 2_000,
      min: 1,
      max: 100_000,
      unit: 'groups',
      about:
        'Changed groups in memory before the partition waits for a flush, four times as many while the process has no time to spare; bounds memory while Redis is slow.',
    }),
    decodedGroupsMax: integer({
      key: 'TRACEHOUND_CORRELATOR_DECODED_GROUPS_MAX',
      default: 32_768,
      min: 1,
      max: 10_000_000,
      unit: 'groups',
      about:
        'Groups that a partition keeps decoded, 64 MB at most, so that hot keys cost nothing; the others lie packed.',
    }),
    packedBytesMax: integer({
      key: 'TRACEHOUND_CORRELATOR_PACKED_BYTES_MAX',
      default: 2 ** 28,
      min: 0,
      max: 2 ** 40,
      unit: 'bytes',
      about:
        'Packed groups that a partition keeps in memory; of those used longest ago that only wait for more hits, Redis alone keeps the state.',
    }),
    commitMs: duration({
      key: 'TRACEHOUND_CORRELATOR_COMMIT',
      default: 1_000,
      min: 10,
      max: 60_000,
      about:
        'Least pause between two Kafka commits of a matches partition; after a loss of Redis alerts since then repeat.',
    }),
    stateTtlMs: duration({
      key: 'TRACEHOUND_CORRELATOR_STATE_TTL',
      default: 36 * 86_400_000,
      min: 60_000,
      about:
        'Backstop after which Redis drops a partition nobody flushes; must exceed the retention of security.matches (35 d).',
    }),
    stateFormat: enumOf({
      key: 'TRACEHOUND_CORRELATOR_STATE_FORMAT',
      default: 'current',
      values: ['current', 'previous'],
      about:
        'Format of group state in Redis. Both are read, always; previous writes it as the release before did: for an upgrade in which processes of that release still take partitions over, and before a downgrade (wait for correlator_groups_to_rewrite to be 0).',
    }),
    redisTimeoutMs: duration({
      key: 'TRACEHOUND_CORRELATOR_REDIS_TIMEOUT',
      default: 5_000,
      min: 50,
      max: 60_000,
      about: 'Upper bound of one Redis command; after it the ownership is taken anew.',
    }),
    tickAlarmMs: duration({
      key: 'TRACEHOUND_CORRELATOR_TICK_ALARM',
      default: 10_000,
      min: 100,
      max: 3_600_000,
      about: 'Silence of a source after which the held watermark raises an alarm.',
    }),
    sessionTimeoutMs: duration({
      key: 'TRACEHOUND_CORRELATOR_SESSION_TIMEOUT',
      default: 10_000,
      min: 1_000,
      max: 300_000,
      about: 'Silence after which the groups give the partitions of this process to others.',
    }),
    ruleSharePercentMax: integer({
      key: 'TRACEHOUND_CORRELATOR_RULE_SHARE_MAX',
      default: 10,
      min: 1,
      max: 100,
      unit: 'percent',
      about: 'Share of one core that a single rule may take in stage A before it is named in the log and counted.',
    }),
    breakerPerEventMax: integer({
      key: 'TRACEHOUND_CORRELATOR_BREAKER_PER_EVENT',
      default: 8,
      min: 1,
      max: 1_000,
      unit: 'matches',
      about:
        'Matches of one rule per event of its organization, over 10 s of log, from which a breaker is proposed; up to 16 groups with 16 values each may come of one event.',
    }),
    breakerMatchesMin: integer({
      key: 'TRACEHOUND_CORRELATOR_BREAKER_MATCHES',
      default: 100_000,
      min: 1,
      max: 1_000_000_000,
      unit: 'matches',
      about: 'Matches of one rule and organization within 10 s of log below which no breaker is proposed.',
    }),
    breakerRuleSharePercent: integer({
      key: 'TRACEHOUND_CORRELATOR_BREAKER_RULE_SHARE',
      default: 75,
      min: 1,
      max: 100,
      unit: 'percent',
      about:
        'Share of one core that a single detection may take in stage A, over two spans of 10 s, before a breaker is proposed for the organization whose events cost it most, if they are slow; 100: never.',
    }),
    breakerRuleMicros: integer({
      key: 'TRACEHOUND_CORRELATOR_BREAKER_RULE_TIME',
      default: 1_000,
      min: 1,
      max: 1_000_000,
      unit: 'microseconds',
      about:
        'Mean time of a detection per event of the organization below which none is proposed: a rule that is merely asked very often, while a backlog is read, is not tripped.',
    }),
    deadLetterSharePercentMax: integer({
      key: DEAD_LETTER_SHARE_KEY,
      default: 50,
      min: 1,
      max: 100,
      unit: 'percent',
      about:
        'Share of the last 10,000 records of a partition that may become dead letters before it halts; 100 halts never. A wrong registry looks like poison.',
    }),
    deadLettersMin: integer({
      key: 'TRACEHOUND_CORRELATOR_DEAD_LETTERS_MIN',
      default: 1_000,
      min: 1,
      max: 10_000,
      unit: 'records',
      about: 'Dead letters among those records below which a partition never halts.',
    }),
    onLostRange: enumOf({
      key: 'TRACEHOUND_CORRELATOR_ON_LOST_RANGE',
      default: 'stop',
      values: ['stop', 'rebuild'],
      about:
        'When the offset of the state is no longer in security.matches: stop with an alarm, or rebuild from what is left.',
    }),
  },
  { prefix: 'TRACEHOUND_CORRELATOR_' },
);

export type CorrelatorConfig = ConfigOf<(typeof correlatorConfig)['fields']>;

export function loadCorrelatorConfig(env: Readonly<Record<string, string | undefined>>): CorrelatorConfig {
  return load(correlatorConfig, env);
}

/** Processes to run on a machine with that many cores, 1 or more. */
export function workerCount(config: CorrelatorConfig, cores: number): number {
  return config.workers === 0 ? Math.min(WORKERS_MAX_UNASKED, Math.max(1, cores - 1)) : config.workers;
}

export function describeCorrelatorConfig(): string {
  return describe(correlatorConfig);
}

/** Topics as they are named in the cluster. */
export type TopicNames = {
  /** Those stage A reads: our own intake topics, then those that mirror intake topics of other deployments. */
  readonly sources: readonly string[];
  readonly findings: string;
  readonly matches: string;
  readonly late: string;
  readonly alerts: string;
  readonly shadow: string;
  readonly rules: string;
  readonly activations: string;
};

/** @throws TracehoundError for a mirrored topic that is none. */
export function topicNames(namespace: string, mirrored: readonly string[] = []): TopicNames {
  return {
    sources: intakeTopicNames(namespace, mirrored),
    findings: namespacedTopic(namespace, 'security.findings'),
    matches: namespacedTopic(namespace, 'security.matches'),
    late: namespacedTopic(namespace, 'security.late'),
    alerts: namespacedTopic(namespace, 'security.alerts'),
    shadow: namespacedTopic(namespace, 'security.shadow'),
    rules: namespacedTopic(namespace, 'detection.rules'),
    activations: namespacedTopic(namespace, 'detection.activations'),
  };
}
