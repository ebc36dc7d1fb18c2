import type { KafkaBatch, KafkaRecord, PartitionHandler } from '@tracehound/kafka';
import { describe, expect, it } from 'vitest';
import { LagWatch } from './lag-watch.ts';

const TOPIC = 'security.matches';

function world(ends: Record<number, { low: bigint; high: bigint }>) {
  const gauges = new Map<string, number>();
  const gauge = (name: string) => {
    const keyOf = (labels: Record<string, string | number>): string =>
      `${name} ${labels['stage']} ${labels['topic']}/${labels['partition']}`;
    return {
      set: (labels: Record<string, string | number>, value: number) => void gauges.set(keyOf(labels), value),
      remove: (labels: Record<string, string | number>) => void gauges.delete(keyOf(labels)),
    };
  };
  const watch = new LagWatch({
    stage: 'b',
    admin: {
      offsets: async () => Object.entries(ends).map(([partition, end]) => ({ partition: Number(partition), ...end })),
    },
    metrics: { lagRecords: gauge('records'), lagSeconds: gauge('seconds') } as never,
    clock: { nowMs: () => 100_000 },
  });
  let isBroken = false;
  const handler: PartitionHandler = {
    assigned: async () => ({ kind: 'earliest' }),
    batch: async () => {
      if (isBroken) throw new Error('not now');
    },
    revoked: async () => undefined,
  };
  return { gauges, watch, handled: watch.over(handler), breaks: () => void (isBroken = true) };
}

function batchOf(offset: bigint, appendTimeMs: number): KafkaBatch {
  const record: KafkaRecord = { topic: TOPIC, partition: 0, offset, appendTimeMs, key: null, value: null, headers: {} };
  return { topic: TOPIC, partition: 0, records: [record], highWatermark: offset + 1n };
}

describe('lag of a stage', () => {
  it('is what the log holds beyond the last record that is done, and the age of that record', async () => {
    const { gauges, watch, handled } = world({ 0: { low: 5n, high: 20n }, 1: { low: 0n, high: 9n } });
    await handled.assigned({ topic: TOPIC, partition: 0 });
    await watch.measure();
    expect(gauges).toEqual(
      new Map([
        [`records b ${TOPIC}/0`, 15],
        [`seconds b ${TOPIC}/0`, 0],
      ]),
    );
    await handled.batch(batchOf(11n, 98_000));
    await watch.measure();
    expect([...gauges.values()]).toEqual([8, 2]);
    await handled.batch(batchOf(19n, 99_500));
    await watch.measure();
    expect([...gauges.values()]).toEqual([0, 0]);
  });

  it('stays while a batch fails, and is not told of a partition that has gone', async () => {
    const { gauges, watch, handled, breaks } = world({ 0: { low: 0n, high: 20n } });
    await handled.assigned({ topic: TOPIC, partition: 0 });
    await handled.batch(batchOf(9n, 99_000));
    breaks();
    await expect(handled.batch(batchOf(19n, 99_900))).rejects.toThrow('not now');
    await watch.measure();
    expect([...gauges.values()]).toEqual([10, 1]);
    await handled.revoked({ topic: TOPIC, partition: 0 });
    expect(gauges.size).toBe(0);
    await watch.measure();
    expect(gauges.size).toBe(0);
  });
});
