import type { KafkaProducer } from '@tracehound/kafka';
import { type DetectedCandidate, detectedRecord } from '../domain/detected.ts';
import type { PartitionState } from '../domain/partition-state.ts';
import { PublishFailedError } from '../errors.ts';
import type { RecordEncoder } from '../ports.ts';

/**
 * Publishes `security.event-detected` for what is stored and pending, then moves the published offset of the state.
 * At-least-once: the stored published offset follows later, so a crash publishes the last events again.
 */
export function createPublishStage(deps: {
  readonly producer: Pick<KafkaProducer, 'send'>;
  readonly encoder: Pick<RecordEncoder, 'detected'>;
  /** With the namespace. */
  readonly topic: string;
  readonly onPublished: (count: number) => void;
}) {
  return async function publish(state: PartitionState): Promise<void> {
    const due = state.pending;
    if (due.length > 0) {
      const records = await Promise.all(
        due.map(async (candidate) => {
          const { key, value } = detectedRecord(candidate);
          return { key, value: await deps.encoder.detected(value), headers: { 'content-type': 'application/avro' } };
        }),
      );
      const results = await deps.producer.send(deps.topic, records);
      const failed: DetectedCandidate[] = [];
      let cause: unknown;
      results.forEach((result, index) => {
        if (result.ok) return;
        failed.push(due[index] as DetectedCandidate); // One result per record.
        cause = result.error;
      });
      deps.onPublished(due.length - failed.length);
      state.pending = failed;
      if (failed.length > 0) throw new PublishFailedError(cause, { topic: deps.topic, failed: failed.length });
    }
    state.publishedOffset = state.nextOffset;
  };
}
