import type { KafkaConsumer, KafkaRefusal } from './port.ts';

/**
 * Of consumers, for a readiness check: how many partitions they read. Throws when something is refused to one of them, and names it:
 * what may not be read waits in the log, and nothing else would say so.
 */
export function readingSummary(consumers: readonly Pick<KafkaConsumer, 'assignment' | 'refusals'>[]): string {
  const refusals = consumers.flatMap((consumer) => consumer.refusals());
  const [first] = refusals;
  if (first === undefined) {
    const held = consumers.reduce((sum, consumer) => sum + consumer.assignment().length, 0);
    return `${held} partitions are read`;
  }
  const others = refusals.length === 1 ? '' : `, and ${refusals.length - 1} more`;
  throw new Error(`${inWords(first)} (${first.code})${others}`);
}

function inWords({ partition }: KafkaRefusal): string {
  return partition === null
    ? 'the consumer group may not be joined'
    : `${partition.topic}/${partition.partition} may not be read`;
}
