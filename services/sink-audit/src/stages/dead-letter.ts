import type { DeadLetter } from '@tracehound/event-model';
import type { KafkaProducer, KafkaRecord, OutgoingRecord } from '@tracehound/kafka';
import type { PartitionState } from '../domain/partition-state.ts';
import { DeadLetterFailedError } from '../errors.ts';
import type { Clock, RecordEncoder } from '../ports.ts';

export const SERVICE_NAME = 'sink-audit';

/** A larger value would not fit a message of the dead-letter topic (1 MiB by default); its coordinates still name it. */
const PAYLOAD_BYTES_MAX = 900_000;

export type DeadLetterEntry = { readonly item: KafkaRecord; readonly stage: string; readonly verdict: DeadLetter };

/**
 * Writes dead letters and resolves when they are durable; called before the rows of the same batch are committed, so
 * that no failure is recorded whose bytes are nowhere. At-least-once: a crash in between writes them again, equal in
 * topic, partition and offset. Within one assignment a retried batch does not write them twice.
 */
export function createDeadLetterStage(deps: {
  readonly producer: Pick<KafkaProducer, 'send'>;
  readonly encoder: Pick<RecordEncoder, 'deadLetter'>;
  readonly clock: Pick<Clock, 'now'>;
}) {
  return async function deadLetter(state: PartitionState, entries: readonly DeadLetterEntry[]): Promise<void> {
    const due = entries.filter(({ item }) => !state.deadLettered.has(item.offset));
    if (due.length === 0) return;
    const records = await Promise.all(due.map((entry) => letterOf(entry)));
    const results = await deps.producer.send(state.intake.deadLetterTopic, records);
    results.forEach((result, index) => {
      if (result.ok) state.deadLettered.add((due[index] as DeadLetterEntry).item.offset); // One result per record.
    });
    const failed = results.filter((result) => !result.ok);
    if (failed.length > 0) {
      const cause = failed[0]?.ok === false ? failed[0].error : undefined;
      throw new DeadLetterFailedError(cause, { topic: state.intake.deadLetterTopic, failed: failed.length });
    }
  };

  async function letterOf({ item, stage, verdict }: DeadLetterEntry): Promise<OutgoingRecord> {
    const isTooLarge = (item.value?.length ?? 0) > PAYLOAD_BYTES_MAX;
    const headers = Object.fromEntries(Object.entries(item.headers).map(([name, value]) => [name, value.toString()]));
    const value = await deps.encoder.deadLetter({
      original_topic: item.topic,
      partition: item.partition,
      offset: Number(item.offset),
      key: item.key,
      payload: isTooLarge ? null : item.value,
      headers,
      service: SERVICE_NAME,
      stage,
      reason: verdict.reason,
      detail: isTooLarge ? `${verdict.detail} (value left out: ${item.value?.length} bytes)` : verdict.detail,
      failed_at: deps.clock.now(),
    });
    return {
      key: item.key,
      value,
      headers: {
        th_reason: verdict.reason,
        th_stage: stage,
        th_topic: item.topic,
        th_partition: String(item.partition),
        th_offset: String(item.offset),
        th_service: SERVICE_NAME,
      },
    };
  }
}
