import type { TopicName, TopicProfile } from './generated/topics.ts';
import { TOPIC_NAMES, TOPIC_PROFILES, TOPICS } from './generated/topics.ts';

/** Name in the cluster: `ns.security.events`, or the plain name for an empty namespace (contracts 1). */
export function namespacedTopic(namespace: string, topic: TopicName): string {
  return namespace === '' ? topic : `${namespace}.${topic}`;
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

/** All topics of `deploy/topics.yaml` for one profile, dead letters included, in alphabetical order. */
export function topicSettings(options: {
  readonly profile: TopicProfile;
  readonly namespace: string;
}): readonly TopicSettings[] {
  const profile = TOPIC_PROFILES[options.profile];
  return TOPIC_NAMES.map((name) => {
    const topic = TOPICS[name];
    return {
      topic: namespacedTopic(options.namespace, name),
      partitions: topic.partitions[options.profile],
      replicationFactor: profile.replication,
      // Windows are spread over its partitions by their number: one more would split them (X3).
      fixedPartitions: name === 'security.matches',
      config: {
        'cleanup.policy': topic.cleanup,
        'retention.ms': String(topic.retentionMs),
        'message.timestamp.type': 'LogAppendTime',
        'min.insync.replicas': String(profile.minInsyncReplicas),
        ...(topic.maxMessageBytes === null ? {} : { 'max.message.bytes': String(topic.maxMessageBytes) }),
      },
    };
  });
}
