import { createMemoryKafka } from '@tracehound/kafka/memory';
import { findIntake, type IntakePart } from './intake-log.ts';

/** A topic `t` in memory with records of some bytes as `[partition, append time, bytes]`, all of it as parts. */
export async function memoryLog(
  partitions: number,
  records: Iterable<readonly [partition: number, atMs: number, bytes: number]>,
): Promise<{
  readonly kafka: ReturnType<ReturnType<typeof createMemoryKafka>['client']>;
  readonly parts: readonly IntakePart[];
}> {
  let nowMs = 0;
  const memory = createMemoryKafka({ now: () => nowMs });
  memory.createTopics([{ topic: 't', partitions }]);
  const kafka = memory.client();
  const producer = await kafka.producer();
  for (const [partition, atMs, bytes] of records) {
    nowMs = atMs;
    await producer.sendTo({ topic: 't', partition }, [{ key: null, value: Buffer.alloc(bytes) }]);
  }
  const range = { fromMs: Number.NEGATIVE_INFINITY, toMs: Number.POSITIVE_INFINITY };
  return { kafka, parts: await findIntake({ kafka, admin: await kafka.admin() }, ['t'], range) };
}
