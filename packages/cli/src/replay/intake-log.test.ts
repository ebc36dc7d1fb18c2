import { createMemoryKafka } from '@tracehound/kafka/memory';
import { describe, expect, it } from 'vitest';
import { findIntake, readIntake } from './intake-log.ts';

/** Records as `[partition, append time]`. */
async function logOf(partitions: number, records: readonly (readonly [partition: number, atMs: number])[]) {
  let nowMs = 0;
  const memory = createMemoryKafka({ now: () => nowMs });
  memory.createTopics([{ topic: 't', partitions }]);
  const kafka = memory.client();
  const producer = await kafka.producer();
  for (const [partition, atMs] of records) {
    nowMs = atMs;
    await producer.sendTo({ topic: 't', partition }, [{ key: null, value: Buffer.from(`${partition}@${atMs}`) }]);
  }
  const admin = await kafka.admin();
  return async (fromMs: number, toMs: number) => {
    const parts = await findIntake({ kafka, admin }, ['t'], { fromMs, toMs });
    const read: [string, number][] = [];
    for await (const { record, coveredMs } of readIntake(kafka, parts, toMs))
      read.push([String(record.value), coveredMs]);
    return { parts, read };
  };
}

const ALL = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY] as const;

describe('the intake log', () => {
  it('is read in order of append time over all partitions', async () => {
    const log = await logOf(2, [
      [0, 10],
      [1, 15],
      [1, 20],
      [0, 30],
      [1, 40],
    ]);
    const { read } = await log(...ALL);
    // When partition 0 ends at 30, nothing after 30 is known of it.
    expect(read).toEqual([
      ['0@10', 10],
      ['1@15', 15],
      ['1@20', 20],
      ['0@30', 30],
      ['1@40', 30],
    ]);
  });

  it('is cut at append times, the end left out', async () => {
    const log = await logOf(
      1,
      [10, 10, 20, 30, 30, 40].map((atMs) => [0, atMs] as const),
    );
    const { parts, read } = await log(10, 40);
    expect(read.map(([value]) => value)).toEqual(['0@10', '0@10', '0@20', '0@30', '0@30']);
    expect(parts).toMatchObject([{ from: 0n, until: 5n, endsAtTop: false }]);
    expect((await log(11, 30)).read).toEqual([['0@20', 20]]);
    expect((await log(41, 50)).read).toEqual([]);
  });

  it('claims no time while a partition has no record (X4)', async () => {
    const log = await logOf(2, [[0, 10]]);
    expect((await log(...ALL)).read).toEqual([['0@10', Number.NEGATIVE_INFINITY]]);
  });

  it('goes on where a partition has nothing in the range but more behind it', async () => {
    const log = await logOf(2, [
      [0, 10],
      [1, 50],
      [0, 60],
    ]);
    expect((await log(5, 40)).read).toEqual([['0@10', 10]]);
  });
});
