import type { TopicName, TopicProfile } from './generated/topics.ts';
import { TOPIC_NAMES, TOPIC_PROFILES, TOPICS } from './generated/topics.ts';

/** Name in the cluster: `ns.security.events`, or the plain name for an empty namespace (contracts 1). */
export function namespacedTopic(namespace: string, topic: TopicName): string {
  return namespace === '' ? topic : `${namespace}.${topic}`;
}

/** Topics that take events in: what watermarks are the minimum over (X4). */
export const INTAKE_TOPICS = ['security.events', 'security.telemetry'] as const;

export type IntakeTopicName = (typeof INTAKE_TOPICS)[number];

/**
 * The intake topic that a topic mirrors: `security.events` for `eu.security.events`, and for `eu.ns.security.events` of a
 * deployment with a namespace; null when the name is no `<alias>.<intake topic>`.
 */
export function mirroredIntakeTopic(topic: string): IntakeTopicName | null {
  return INTAKE_TOPICS.find((name) => topic.length > name.length + 1 && topic.endsWith(`.${name}`)) ?? null;
}

/** Settings a topic is made with; the shape `KafkaAdmin.applyTopics` takes. */
export type TopicSettings = {
  readonly topic: string;
  readonly partitions: number;
  readonly replicationFactor: number;
  readonly config: Readonly<Record<string, string>>;
  /** An existing topic keeps its number of partitions. */
  readonly fixedPartitions: boolean;
};

/**
 * All topics of `deploy/topics.yaml` for one profile, dead letters included, in alphabetical order; then the mirrored ones, made
 * like the topics they mirror, and their dead letters.
 */
export function topicSettings(options: {
  readonly profile: TopicProfile;
  readonly namespace: string;
  /** Topics that mirror intake topics of other deployments, as they are named in the cluster; none by default. */
  readonly mirrored?: readonly string[];
}): readonly TopicSettings[] {
  const own = TOPIC_NAMES.map((name) => settingsLike(name, namespacedTopic(options.namespace, name), options.profile));
  const mirrored = (options.mirrored ?? []).flatMap((topic) => {
    const name = mirroredIntakeTopic(topic);
    if (name === null) return [];
    const deadLetters = settingsLike(`${name}.dlq`, `${topic}.dlq`, options.profile);
    return [settingsLike(name, topic, options.profile), deadLetters];
  });
  return [...own, ...mirrored];
}

function settingsLike(name: TopicName, topic: string, profileName: TopicProfile): TopicSettings {
  const declared = TOPICS[name];
  const profile = TOPIC_PROFILES[profileName];
  return {
    topic,
    partitions: declared.partitions[profileName],
    replicationFactor: profile.replication,
    // Windows are spread over its partitions by their number: one more would split them (X3).
    fixedPartitions: name === 'security.matches',
    config: {
      'cleanup.policy': declared.cleanup,
      'retention.ms': String(declared.retentionMs),
      'message.timestamp.type': 'LogAppendTime',
      'min.insync.replicas': String(profile.minInsyncReplicas),
      ...(declared.maxMessageBytes === null ? {} : { 'max.message.bytes': String(declared.maxMessageBytes) }),
    },
  };
}
