import { describe, expect, it } from 'vitest';
import { createMemoryKafka } from './index.ts';

const AT = { topic: 't', partition: 0 };
const record = (value: string) => ({ key: value, value: Buffer.from(value) });

function openMemory() {
  let nowMs = 1_000;
  const kafka = createMemoryKafka({ now: () => nowMs });
  kafka.createTopics([{ topic: 't', partitions: 1 }]);
  return { kafka, at: (time: number) => (nowMs = time) };
}

describe('createMemoryKafka', () => {
  it('stamps records with the given clock', async () => {
    const { kafka, at } = openMemory();
    const producer = await kafka.client().producer();
    await producer.sendTo(AT, [record('a')]);
    at(5_000);
    const { appendTimeMs } = await producer.sendTo(AT, [record('b')]);
    expect(appendTimeMs).toBe(5_000);
    expect(kafka.records('t').map((r) => r.appendTimeMs)).toEqual([1_000, 5_000]);
    await producer.close();
  });

  it('fails the next produce for certain, or with a lost acknowledgement', async () => {
    const { kafka } = openMemory();
    const producer = await kafka.client().producer();
    kafka.failNextProduce();
    await expect(producer.sendTo(AT, [record('a')])).rejects.toMatchObject({ indefinite: false });
    expect(kafka.records('t')).toHaveLength(0);
    kafka.failNextProduce({ indefinite: true, written: true });
    await expect(producer.sendTo(AT, [record('b')])).rejects.toMatchObject({ indefinite: true });
    expect(kafka.records('t')).toHaveLength(1);
    kafka.failNextProduce({ retriable: true, times: 2 });
    await producer.sendTo(AT, [record('c')]);
    expect(kafka.records('t').map((r) => String(r.value))).toEqual(['b', 'c']);
    await producer.close();
  });

  it('fails only where it is told to', async () => {
    const { kafka } = openMemory();
    kafka.createTopics([{ topic: 'other', partitions: 1 }]);
    const producer = await kafka.client().producer();
    kafka.failNextProduce({ topic: 'other' });
    await producer.sendTo(AT, [record('a')]);
    await expect(producer.sendTo({ topic: 'other', partition: 0 }, [record('b')])).rejects.toThrow();
    await producer.close();
  });

  it('shares one broker among clients', async () => {
    const { kafka } = openMemory();
    const producer = await kafka.client().producer();
    await producer.sendTo(AT, [record('a')]);
    const values: string[] = [];
    for await (const read of kafka.client().read(AT)) values.push(String(read.value));
    expect(values).toEqual(['a']);
    await producer.close();
  });
});
