import { TracehoundError } from '@tracehound/event-model';
import type { KafkaAdmin } from '@tracehound/kafka';
import type { TopicFacts } from '../ports.ts';

/** `TopicFacts` of a cluster. Every answer is fresh: a cached topic id is exactly what X5 must not trust. */
export function createTopicFacts(admin: Pick<KafkaAdmin, 'topicIds' | 'offsets'>): TopicFacts {
  return {
    async topicId(topic) {
      const id = (await admin.topicIds([topic])).get(topic);
      if (id === undefined) throw missing(topic);
      return id;
    },
    async bounds(topic, partition) {
      const found = (await admin.offsets(topic)).find((entry) => entry.partition === partition);
      if (!found) throw missing(topic);
      return { low: found.low, high: found.high };
    },
  };
}

function missing(topic: string): TracehoundError {
  return new TracehoundError('the topic or partition does not exist', {
    code: 'SEC_SINK_TOPIC_MISSING',
    category: 'not_found',
    retriable: true,
    fields: { topic },
  });
}
