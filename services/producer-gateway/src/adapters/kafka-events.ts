import { InvariantError } from '@tracehound/event-model';
import { type KafkaClient, KafkaProduceError, type KafkaProducer, type ProduceResult } from '@tracehound/kafka';
import type { EventProducer, ProduceAnswer } from '../ports.ts';

/** Refusals that another try cannot change. */
const REFUSED: ReadonlySet<string> = new Set(['SEC_KAFKA_RECORD_TOO_LARGE', 'SEC_KAFKA_INVALID_RECORD']);

export type KafkaEvents = EventProducer & {
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Proves that the topics are there and that the last write was acknowledged; throws the reason in words. */
  prove(topics: readonly string[]): Promise<string>;
};

/** The guarded producer of `@tracehound/kafka` as a port: every event has its answer, nothing rejects. */
export function createKafkaEvents(options: {
  readonly client: KafkaClient;
  readonly produceTimeoutMs: number;
  readonly onProduced?: (topic: string, seconds: number, bytes: number) => void;
  readonly onFailure?: (topic: string, error: unknown, events: number) => void;
}): KafkaEvents {
  let producer: KafkaProducer | null = null;
  let lastFailed = false;

  return {
    async start() {
      producer = await options.client.producer();
    },
    async stop() {
      await producer?.close();
      await options.client.close();
    },
    async send(topic, events) {
      if (!producer) throw new InvariantError('events were sent before the producer started');
      const startedAtMs = performance.now();
      const results = await producer.send(topic, events, { timeoutMs: options.produceTimeoutMs });
      const answers = events.map((_event, index) => answerOf(results[index]));
      const failed = results.filter((result) => !result.ok);
      lastFailed = failed.length > 0 && answers.some((answer) => answer.kind === 'unknown');
      const first = failed[0];
      if (first && !first.ok) options.onFailure?.(topic, first.error, failed.length);
      const bytes = events.reduce(
        (sum, event, i) => (answers[i]?.kind === 'acknowledged' ? sum + event.value.length : sum),
        0,
      );
      options.onProduced?.(topic, (performance.now() - startedAtMs) / 1_000, bytes);
      return answers;
    },
    async prove(topics) {
      const admin = await options.client.admin();
      try {
        for (const topic of topics) await admin.partitionCount(topic);
      } finally {
        await admin.close();
      }
      if (lastFailed) {
        // The path stands again: the next request proves it by a write, or sets the flag once more.
        lastFailed = false;
        throw new Error('the last write was not acknowledged');
      }
      return `${topics.length} topics found`;
    },
  };
}

function answerOf(result: ProduceResult | undefined): ProduceAnswer {
  if (!result) return { kind: 'unknown', cause: null };
  if (result.ok) {
    const { topic, partition, offset } = result.record;
    return { kind: 'acknowledged', at: { topic, partition, offset: offset.toString() } };
  }
  const { error } = result;
  const refused = error instanceof KafkaProduceError && !error.indefinite && REFUSED.has(error.code);
  return refused ? { kind: 'refused' } : { kind: 'unknown', cause: error };
}
