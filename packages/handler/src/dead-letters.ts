import type { AvroCodec } from '@tracehound/avro';
import type { DeadLetter } from '@tracehound/event-model';
import type { KafkaProducer, KafkaRecord } from '@tracehound/kafka';

type Entry = { readonly item: KafkaRecord; readonly stage: string; readonly verdict: DeadLetter };

/** A larger value would not fit a message of the dead-letter topic; its coordinates still name it. */
const PAYLOAD_BYTES_MAX = 900_000;

/** Writes to `<topic>.dlq`; durable when it resolves. */
export function createDeadLetters(deps: {
  readonly producer: Pick<KafkaProducer, 'send'>;
  readonly codec: Pick<AvroCodec, 'encode'>;
  readonly service: string;
  readonly now: () => number;
}): (entries: readonly Entry[]) => Promise<void> {
  return async function deadLetters(entries) {
    for (const { item, stage, verdict } of entries) {
      const payload = item.value !== null && item.value.length > PAYLOAD_BYTES_MAX ? null : item.value;
      const value = deps.codec.encode('tracehound.pipeline.v1.DeadLetter', {
        original_topic: item.topic,
        partition: item.partition,
        offset: Number(item.offset),
        key: item.key,
        payload,
        headers: Object.fromEntries(Object.entries(item.headers).map(([name, text]) => [name, text.toString()])),
        service: deps.service,
        stage,
        reason: verdict.reason,
        detail: verdict.detail,
        failed_at: deps.now(),
      });
      const headers = { th_reason: verdict.reason, th_stage: stage, th_topic: item.topic, th_service: deps.service };
      const place = { th_partition: String(item.partition), th_offset: String(item.offset) };
      const record = { key: item.key, value, headers: { ...headers, ...place } };
      const [result] = await deps.producer.send(`${item.topic}.dlq`, [record]);
      if (!result?.ok) throw new Error('a dead letter was not acknowledged', { cause: result?.error });
    }
  };
}
