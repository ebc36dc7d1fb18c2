import type { AvroCodec } from '@tracehound/avro';
import type { KafkaProducer, OutgoingRecord } from '@tracehound/kafka';
import type { DeadAlert } from '../domain/intake-run.ts';
import { DeadLetterFailedError } from '../errors.ts';

export const SERVICE_NAME = 'alerter';

/** A larger value would not fit a message of the dead-letter topic (1 MiB by default); its coordinates still name it. */
const PAYLOAD_BYTES_MAX = 900_000;

/** Writes records that can never be told to `<topic>.dlq`; durable when it resolves, before their offset is stored. */
export function createDeadLetters(deps: {
  readonly producer: Pick<KafkaProducer, 'send'>;
  readonly codec: Pick<AvroCodec, 'encode'>;
  readonly topicOf: (topic: string) => string;
  readonly now: () => number;
  readonly onDead: (reason: string) => void;
}): (entries: readonly DeadAlert[]) => Promise<void> {
  return async function deadLetter(entries) {
    for (const entry of entries) {
      const topic = deps.topicOf(`${entry.item.position.topic}.dlq`);
      const [result] = await deps.producer.send(topic, [letterOf(entry)]);
      if (!result?.ok) throw new DeadLetterFailedError(entry.item.position.topic, result?.error);
      deps.onDead(entry.verdict.reason);
    }
  };

  function letterOf({ item, stage, verdict }: DeadAlert): OutgoingRecord {
    const { topic, partition, offset } = item.position;
    const isTooLarge = item.value.length > PAYLOAD_BYTES_MAX;
    return {
      key: item.key,
      value: deps.codec.encode('tracehound.pipeline.v1.DeadLetter', {
        original_topic: deps.topicOf(topic),
        partition,
        offset: Number(offset),
        key: item.key,
        payload: isTooLarge ? null : item.value,
        headers: {},
        service: SERVICE_NAME,
        stage,
        reason: verdict.reason,
        detail: isTooLarge ? `${verdict.detail} (value left out: ${item.value.length} bytes)` : verdict.detail,
        failed_at: deps.now(),
      }),
      headers: {
        th_reason: verdict.reason,
        th_stage: stage,
        th_topic: deps.topicOf(topic),
        th_partition: String(partition),
        th_offset: String(offset),
        th_service: SERVICE_NAME,
      },
    };
  }
}
