import type { AvroCodec } from '@tracehound/avro';
import type { KafkaProducer, OutgoingRecord } from '@tracehound/kafka';
import { FactsNotPublishedError } from '../errors.ts';
import type { OutgoingFact } from '../ports.ts';

/**
 * Writes facts to `security.deliveries` and `security.alert-lifecycle` and resolves when all are acknowledged. At least
 * once: (delivery_id, attempt) and (alert_id, action, at) tell copies apart.
 */
export function createFactPublisher(deps: {
  readonly producer: Pick<KafkaProducer, 'send'>;
  readonly codec: Pick<AvroCodec, 'encode'>;
  readonly topicOf: (topic: OutgoingFact['topic']) => string;
  readonly onPublished: (topic: OutgoingFact['topic'], count: number) => void;
}): (facts: readonly OutgoingFact[]) => Promise<void> {
  return async function publish(facts) {
    for (const topic of ['security.deliveries', 'security.alert-lifecycle'] as const) {
      const records = facts.filter((fact) => fact.topic === topic).map((fact) => recordOf(fact, deps.codec));
      if (records.length === 0) continue;
      const failed = (await deps.producer.send(deps.topicOf(topic), records)).filter((result) => !result.ok);
      if (failed[0]) throw new FactsNotPublishedError(topic, failed.length, failed[0].error);
      deps.onPublished(topic, records.length);
    }
  };
}

function recordOf(fact: OutgoingFact, codec: Pick<AvroCodec, 'encode'>): OutgoingRecord {
  const key = `${fact.value.organization_id}|${fact.value.alert_id}`;
  switch (fact.topic) {
    case 'security.deliveries':
      return { key, value: codec.encode('tracehound.pipeline.v1.AlertDelivery', fact.value) };
    case 'security.alert-lifecycle':
      return { key, value: codec.encode('tracehound.pipeline.v1.AlertLifecycle', fact.value) };
  }
}
