import type { TopicSettings } from '@tracehound/event-model';

/** Topics on three brokers; a write to one needs `inSync` of its three replicas. */
export function replicated(topics: readonly TopicSettings[], inSync: (topic: string) => number): TopicSettings[] {
  return topics.map((spec) => ({
    ...spec,
    replicationFactor: 3,
    config: { ...spec.config, 'min.insync.replicas': String(inSync(spec.topic)) },
  }));
}
