import { waitFor } from '@tracehound/testkit';
import { describe, expect, it } from 'vitest';
import { KafkaOffsetOutOfRangeError, KafkaProduceError, partitionForKey } from '../src/index.ts';
import { type ContractBench, numbered } from './contract-bench.ts';

/** Producer, append time, reader and admin: what does not need a group. */
export function describeLogContract(bench: ContractBench): void {
  const { createTopic, readAll } = bench;

  describe('producer', () => {
    it('gives every record its own result, in the order given, at the partition of its key', async () => {
      const topic = await createTopic(4);
      const records = numbered(0, 500);
      const results = await bench.producer.send(topic, records);
      const seen = new Map<string, string>();
      results.forEach((result, index) => {
        if (!result.ok) throw result.error;
        const key = `k${index}`;
        expect(result.record.partition).toBe(partitionForKey(key, 4));
        seen.set(`${result.record.partition}/${result.record.offset}`, key);
      });
      expect(seen.size).toBe(500);
      for (let partition = 0; partition < 4; partition++) {
        let previous = -1;
        for (const record of await readAll({ topic, partition })) {
          expect(seen.get(`${partition}/${record.offset}`)).toBe(String(record.key));
          const number = Number(String(record.key).slice(1));
          expect(number).toBeGreaterThan(previous);
          previous = number;
        }
      }
    });

    it('keeps the order of concurrent calls to one partition and names the base offset of each', async () => {
      const topic = await createTopic(1);
      const at = { topic, partition: 0 };
      const calls = Array.from({ length: 200 }, (_, i) => bench.producer.sendTo(at, numbered(i * 3, 3)));
      const answers = await Promise.all(calls);
      answers.forEach((answer, i) => {
        expect(answer.baseOffset).toBe(BigInt(i * 3));
      });
      const values = (await readAll(at)).map((record) => String(record.value));
      expect(values).toEqual(Array.from({ length: 600 }, (_, i) => `v${i}`));
    });

    it('carries headers, null and empty keys and values', async () => {
      const topic = await createTopic(1);
      const at = { topic, partition: 0 };
      await bench.producer.sendTo(at, [
        { key: null, value: null, headers: { th_marker: 'idle', raw: Buffer.from([0, 255]) } },
        { key: 'ä', value: Buffer.alloc(0) },
        { key: Buffer.from([1, 0]), value: Buffer.from('x'), headers: {} },
      ]);
      const [first, second, third] = await readAll(at);
      expect(first?.key).toBeNull();
      expect(first?.value).toBeNull();
      expect(String(first?.headers['th_marker'])).toBe('idle');
      expect(first?.headers['raw']).toEqual(Buffer.from([0, 255]));
      expect(String(second?.key)).toBe('ä');
      expect(second?.value).toEqual(Buffer.alloc(0));
      expect(third?.key).toEqual(Buffer.from([1, 0]));
      expect(third?.headers).toEqual({});
    });

    it('puts the null keys of one call into one partition, and of the next call into the next', async () => {
      const topic = await createTopic(3);
      const partitions = new Set<number>();
      for (let i = 0; i < 3; i++) {
        const results = await bench.producer.send(topic, [
          { key: null, value: Buffer.from('a') },
          { key: null, value: Buffer.from('b') },
        ]);
        const used = new Set(results.map((result) => (result.ok ? result.record.partition : -1)));
        expect(used.size).toBe(1);
        for (const partition of used) partitions.add(partition);
      }
      expect(partitions).toEqual(new Set([0, 1, 2]));
    });

    it('writes a record of 1,000,000 bytes', async () => {
      const topic = await createTopic(1);
      const value = Buffer.alloc(1_000_000, 7);
      const [result] = await bench.producer.send(topic, [{ key: 'big', value }]);
      expect(result?.ok).toBe(true);
      const [record] = await readAll({ topic, partition: 0 });
      expect(record?.value?.equals(value)).toBe(true);
    });

    it('fails only the record that is too large, for certain and without retries', async () => {
      const topic = await createTopic(1, { 'max.message.bytes': '20000' });
      const begun = Date.now();
      const small = Buffer.from('small');
      const results = await bench.producer.send(topic, [
        { key: 'a', value: small },
        { key: 'b', value: Buffer.alloc(30_000) },
        { key: 'c', value: small },
      ]);
      expect(results.map((result) => result.ok)).toEqual([true, false, true]);
      const bad = results[1];
      const error = bad && !bad.ok ? bad.error : undefined;
      expect(error).toBeInstanceOf(KafkaProduceError);
      expect(error).toMatchObject({
        code: 'SEC_KAFKA_RECORD_TOO_LARGE',
        category: 'invalid_input',
        indefinite: false,
      });
      expect(Date.now() - begun).toBeLessThan(5_000);
      expect((await readAll({ topic, partition: 0 })).map((record) => String(record.key))).toEqual(['a', 'c']);
    });

    it('keeps a bad record of one caller away from the records of another', async () => {
      const topic = await createTopic(1, { 'max.message.bytes': '20000' });
      const at = { topic, partition: 0 };
      const sends = [
        bench.producer.sendTo(at, numbered(0, 1)),
        bench.producer.sendTo(at, numbered(1, 1)),
        bench.producer.sendTo(at, [{ key: 'bad', value: Buffer.alloc(30_000) }]),
        bench.producer.sendTo(at, numbered(2, 1)),
      ];
      const settled = await Promise.allSettled(sends);
      expect(settled.map((result) => result.status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled']);
      expect((await readAll(at)).map((record) => String(record.key))).toEqual(['k0', 'k1', 'k2']);
    });

    it('answers for a topic that is not there after its time-out, without throwing', async () => {
      const [result] = await bench.producer.send(`${bench.harness.namespace()}.absent`, numbered(0, 1), {
        timeoutMs: 1_500,
      });
      expect(result?.ok).toBe(false);
      const error = result && !result.ok ? result.error : undefined;
      expect(error).toMatchObject({ code: 'SEC_KAFKA_UNKNOWN_TOPIC', indefinite: false });
    });

    it('takes nothing after close and carries what it took', async () => {
      const topic = await createTopic(1);
      const own = await bench.client.producer();
      const pending = own.send(topic, numbered(0, 50));
      await own.close();
      expect((await pending).every((result) => result.ok)).toBe(true);
      const [late] = await own.send(topic, numbered(50, 1), { timeoutMs: 500 });
      expect(late?.ok).toBe(false);
    });
  });

  describe('append time (X1)', () => {
    it('is carried by produce answers and fetches when the adapter says so', async () => {
      const topic = await createTopic(1);
      const at = { topic, partition: 0 };
      const before = Date.now() - 2_000;
      const produced: (number | null)[] = [];
      for (let i = 0; i < 3; i++) produced.push((await bench.producer.sendTo(at, numbered(i * 2, 2))).appendTimeMs);
      const read = (await readAll(at)).map((record) => record.appendTimeMs);
      if (!bench.client.carriesAppendTime) {
        expect(produced.every((time) => time === null)).toBe(true);
        return;
      }
      expect(read).toEqual(produced.flatMap((time) => [time, time]));
      for (const time of read) expect(time).toBeGreaterThan(before);
    });

    it('is the time of the broker, not of the producer', async () => {
      const topic = await createTopic(1);
      const results = await bench.producer.send(topic, numbered(0, 20));
      const times = new Set(results.map((result) => (result.ok ? result.record.appendTimeMs : undefined)));
      // One request, one batch, one append time for all.
      if (bench.client.carriesAppendTime) expect(times.size).toBe(1);
      else expect(times).toEqual(new Set([null]));
    });
  });

  describe('read', () => {
    it('reads [from, until) and nothing else', async () => {
      const topic = await createTopic(1);
      const at = { topic, partition: 0 };
      await bench.producer.sendTo(at, numbered(0, 10));
      const offsets = async (range?: { from?: bigint; until?: bigint }): Promise<number[]> =>
        (await readAll(at, range)).map((record) => Number(record.offset));
      expect(await offsets()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
      expect(await offsets({ from: 7n })).toEqual([7, 8, 9]);
      expect(await offsets({ until: 3n })).toEqual([0, 1, 2]);
      expect(await offsets({ from: 4n, until: 6n })).toEqual([4, 5]);
      expect(await offsets({ from: 10n })).toEqual([]);
      expect(await offsets({ from: 5n, until: 5n })).toEqual([]);
    });

    it('starts at the first kept offset, and refuses to start before it', async () => {
      const topic = await createTopic(1);
      const at = { topic, partition: 0 };
      await bench.producer.sendTo(at, numbered(0, 10));
      await bench.harness.truncateBefore(at, 4n);
      expect((await readAll(at)).map((record) => Number(record.offset))).toEqual([4, 5, 6, 7, 8, 9]);
      await expect(readAll(at, { from: 2n })).rejects.toBeInstanceOf(KafkaOffsetOutOfRangeError);
    });

    it('knows a partition that was added after its topic was read', async () => {
      const topic = await createTopic(1);
      expect(await readAll({ topic, partition: 0 })).toEqual([]);
      await bench.admin.applyTopics([
        { topic, partitions: 2, replicationFactor: 1, config: { 'message.timestamp.type': 'LogAppendTime' } },
      ]);
      expect(await readAll({ topic, partition: 1 })).toEqual([]);
    });

    it('ends at once on an empty partition', async () => {
      const topic = await createTopic(1);
      expect(await readAll({ topic, partition: 0 })).toEqual([]);
    });

    it('reads more than one fetch holds', async () => {
      const topic = await createTopic(1);
      const at = { topic, partition: 0 };
      const value = Buffer.alloc(400_000, 1);
      for (let i = 0; i < 24; i++) await bench.producer.sendTo(at, [{ key: `k${i}`, value }]);
      expect((await readAll(at)).map((record) => Number(record.offset))).toEqual(
        Array.from({ length: 24 }, (_, i) => i),
      );
    });
  });

  describe('admin', () => {
    it('creates, leaves alone, and adjusts topics', async () => {
      const topic = `${bench.harness.namespace()}.applied`;
      const spec = { topic, partitions: 2, replicationFactor: 1, config: { 'retention.ms': '3600000' } };
      expect(await bench.admin.applyTopics([spec])).toEqual([{ topic, action: 'created' }]);
      expect(await bench.admin.applyTopics([spec])).toEqual([{ topic, action: 'unchanged' }]);
      const longer = { ...spec, config: { 'retention.ms': '7200000' } };
      expect(await bench.admin.applyTopics([longer])).toEqual([
        { topic, action: 'changed', changes: [{ setting: 'retention.ms', before: '3600000', after: '7200000' }] },
      ]);
      // A broker describes settings as of the metadata it has replayed.
      await waitFor(async () => (await bench.admin.applyTopics([longer]))[0]?.action === 'unchanged', {
        what: 'the changed setting to be seen',
      });
      const fixed = { ...longer, partitions: 3, fixedPartitions: true };
      expect(await bench.admin.applyTopics([fixed])).toEqual([{ topic, action: 'kept' }]);
      expect(await bench.admin.partitionCount(topic)).toBe(2);
      const shorter = { ...fixed, config: { 'retention.ms': '3600000' } };
      expect(await bench.admin.applyTopics([shorter])).toEqual([
        {
          ...{ topic, action: 'changed', partitionsKept: true },
          changes: [{ setting: 'retention.ms', before: '7200000', after: '3600000' }],
        },
      ]);
      await bench.admin.applyTopics([longer]);
      await waitFor(async () => (await bench.admin.topicSetting([topic], 'retention.ms')).get(topic) === '7200000', {
        what: 'the setting to be back',
      });
      expect(await bench.admin.applyTopics([{ ...longer, partitions: 3 }])).toEqual([
        { topic, action: 'changed', changes: [{ setting: 'partitions', before: '2', after: '3' }] },
      ]);
      await waitFor(async () => (await bench.admin.partitionCount(topic)) === 3, { what: 'the third partition' });
      expect(await bench.admin.listTopics()).toContain(topic);
      expect(await bench.admin.topicSetting([topic], 'retention.ms')).toEqual(new Map([[topic, '7200000']]));
      expect(await bench.admin.topicSetting([], 'retention.ms')).toEqual(new Map());
    });

    it('tells the range of every partition and the committed offsets', async () => {
      const topic = await createTopic(2);
      await bench.producer.sendTo({ topic, partition: 1 }, numbered(0, 5));
      expect(await bench.admin.offsets(topic)).toEqual([
        { partition: 0, low: 0n, high: 0n },
        { partition: 1, low: 0n, high: 5n },
      ]);
      expect(await bench.admin.committed(`${topic}.nobody`, topic)).toEqual([
        { partition: 0, offset: null },
        { partition: 1, offset: null },
      ]);
    });

    it('gives a topic that is deleted and made again another id', async () => {
      const topic = await createTopic(1);
      const first = (await bench.admin.topicIds([topic])).get(topic);
      expect(first).toMatch(/^[0-9a-f-]{36}$/);
      await bench.admin.deleteTopics([topic]);
      await waitFor(async () => !(await bench.admin.listTopics()).includes(topic), { what: 'the topic to be gone' });
      await waitFor(
        async () => {
          const [done] = await bench.admin.applyTopics([{ topic, partitions: 1, replicationFactor: 1, config: {} }]);
          return done?.action === 'created';
        },
        { what: 'the topic to be made again' },
      );
      const second = (await bench.admin.topicIds([topic])).get(topic);
      expect(second).not.toBe(first);
    });

    it('deletes a topic that is not there without waiting', async () => {
      const begun = Date.now();
      await bench.admin.deleteTopics([`${bench.harness.namespace()}.absent`]);
      expect(Date.now() - begun).toBeLessThan(3_000);
    });
  });
}
