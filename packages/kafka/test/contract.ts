import { InvariantError } from '@tracehound/event-model';
import { waitFor } from '@tracehound/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type ConsumerOptions,
  type KafkaAdmin,
  type KafkaBatch,
  type KafkaClient,
  type KafkaConsumer,
  KafkaError,
  KafkaOffsetOutOfRangeError,
  KafkaProduceError,
  type KafkaProducer,
  type KafkaRecord,
  type OutgoingRecord,
  type PartitionHandler,
  partitionForKey,
  type TopicPartition,
} from '../src/index.ts';

/** What the suite needs of an adapter under test. */
export type ContractHarness = {
  client(): KafkaClient;
  /** A prefix for topics and groups that nothing else uses. */
  namespace(): string;
  /** Retention, at once: records below `low` are gone. */
  truncateBefore(partition: TopicPartition, low: bigint): Promise<void>;
  close(): Promise<void>;
};

/** Shortest session that Kafka's default `group.min.session.timeout.ms` allows. */
const SESSION_TIMEOUT_MS = 6_000;

/** The contract of the port: every adapter passes the same cases. */
export function describeKafkaContract(adapter: string, open: () => Promise<ContractHarness>): void {
  describe(`Kafka port contract: ${adapter}`, () => {
    let harness: ContractHarness;
    let client: KafkaClient;
    let admin: KafkaAdmin;
    let producer: KafkaProducer;
    const consumers: KafkaConsumer[] = [];

    beforeAll(async () => {
      harness = await open();
      client = harness.client();
      admin = await client.admin();
      producer = await client.producer();
    });

    afterAll(async () => {
      await Promise.all(consumers.map((consumer) => consumer.stop()));
      await producer.close();
      await admin.close();
      await client.close();
      await harness.close();
    });

    async function createTopic(partitions: number, config: Record<string, string> = {}): Promise<string> {
      const topic = `${harness.namespace()}.contract`;
      await admin.applyTopics([
        { topic, partitions, replicationFactor: 1, config: { 'message.timestamp.type': 'LogAppendTime', ...config } },
      ]);
      return topic;
    }

    async function readAll(at: TopicPartition, range?: { from?: bigint; until?: bigint }): Promise<KafkaRecord[]> {
      const records: KafkaRecord[] = [];
      for await (const record of client.read(at, range)) records.push(record);
      return records;
    }

    function consume(
      topic: string,
      handler: Partial<PartitionHandler>,
      options: Partial<ConsumerOptions> = {},
    ): KafkaConsumer {
      const consumer = client.consumer({
        groupId: `${topic}.group`,
        topics: [topic],
        sessionTimeoutMs: SESSION_TIMEOUT_MS,
        onFatal: (error) => {
          throw error;
        },
        handler: {
          assigned: async () => ({ kind: 'committed' }),
          batch: async () => undefined,
          revoked: async () => undefined,
          ...handler,
        },
        ...options,
      });
      consumers.push(consumer);
      return consumer;
    }

    const numbered = (from: number, count: number): OutgoingRecord[] =>
      Array.from({ length: count }, (_, i) => ({ key: `k${from + i}`, value: Buffer.from(`v${from + i}`) }));

    describe('producer', () => {
      it('gives every record its own result, in the order given, at the partition of its key', async () => {
        const topic = await createTopic(4);
        const records = numbered(0, 500);
        const results = await producer.send(topic, records);
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
        const calls = Array.from({ length: 200 }, (_, i) => producer.sendTo(at, numbered(i * 3, 3)));
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
        await producer.sendTo(at, [
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
          const results = await producer.send(topic, [
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
        const [result] = await producer.send(topic, [{ key: 'big', value }]);
        expect(result?.ok).toBe(true);
        const [record] = await readAll({ topic, partition: 0 });
        expect(record?.value?.equals(value)).toBe(true);
      });

      it('fails only the record that is too large, for certain and without retries', async () => {
        const topic = await createTopic(1, { 'max.message.bytes': '20000' });
        const begun = Date.now();
        const small = Buffer.from('small');
        const results = await producer.send(topic, [
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
          producer.sendTo(at, numbered(0, 1)),
          producer.sendTo(at, numbered(1, 1)),
          producer.sendTo(at, [{ key: 'bad', value: Buffer.alloc(30_000) }]),
          producer.sendTo(at, numbered(2, 1)),
        ];
        const settled = await Promise.allSettled(sends);
        expect(settled.map((result) => result.status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled']);
        expect((await readAll(at)).map((record) => String(record.key))).toEqual(['k0', 'k1', 'k2']);
      });

      it('answers for a topic that is not there after its time-out, without throwing', async () => {
        const [result] = await producer.send(`${harness.namespace()}.absent`, numbered(0, 1), { timeoutMs: 1_500 });
        expect(result?.ok).toBe(false);
        const error = result && !result.ok ? result.error : undefined;
        expect(error).toMatchObject({ code: 'SEC_KAFKA_UNKNOWN_TOPIC', indefinite: false });
      });

      it('takes nothing after close and carries what it took', async () => {
        const topic = await createTopic(1);
        const own = await client.producer();
        const pending = own.send(topic, numbered(0, 50));
        await own.close();
        expect((await pending).every((result) => result.ok)).toBe(true);
        const [late] = await own.send(topic, numbered(50, 1), { timeoutMs: 500 });
        expect(late?.ok).toBe(false);
      });
    });

    describe('append time (X1)', () => {
      it(`is ${'carried'} by produce answers and fetches when the adapter says so`, async () => {
        const topic = await createTopic(1);
        const at = { topic, partition: 0 };
        const before = Date.now() - 2_000;
        const produced: (number | null)[] = [];
        for (let i = 0; i < 3; i++) produced.push((await producer.sendTo(at, numbered(i * 2, 2))).appendTimeMs);
        const read = (await readAll(at)).map((record) => record.appendTimeMs);
        if (!client.carriesAppendTime) {
          expect(produced.every((time) => time === null)).toBe(true);
          return;
        }
        expect(read).toEqual(produced.flatMap((time) => [time, time]));
        for (const time of read) expect(time).toBeGreaterThan(before);
      });

      it('is the time of the broker, not of the producer', async () => {
        const topic = await createTopic(1);
        const results = await producer.send(topic, numbered(0, 20));
        const times = new Set(results.map((result) => (result.ok ? result.record.appendTimeMs : undefined)));
        // One request, one batch, one append time for all.
        if (client.carriesAppendTime) expect(times.size).toBe(1);
        else expect(times).toEqual(new Set([null]));
      });
    });

    describe('read', () => {
      it('reads [from, until) and nothing else', async () => {
        const topic = await createTopic(1);
        const at = { topic, partition: 0 };
        await producer.sendTo(at, numbered(0, 10));
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
        await producer.sendTo(at, numbered(0, 10));
        await harness.truncateBefore(at, 4n);
        expect((await readAll(at)).map((record) => Number(record.offset))).toEqual([4, 5, 6, 7, 8, 9]);
        await expect(readAll(at, { from: 2n })).rejects.toBeInstanceOf(KafkaOffsetOutOfRangeError);
      });

      it('ends at once on an empty partition', async () => {
        const topic = await createTopic(1);
        expect(await readAll({ topic, partition: 0 })).toEqual([]);
      });

      it('reads more than one fetch holds', async () => {
        const topic = await createTopic(1);
        const at = { topic, partition: 0 };
        const value = Buffer.alloc(400_000, 1);
        for (let i = 0; i < 24; i++) await producer.sendTo(at, [{ key: `k${i}`, value }]);
        expect((await readAll(at)).map((record) => Number(record.offset))).toEqual(
          Array.from({ length: 24 }, (_, i) => i),
        );
      });
    });

    describe('admin', () => {
      it('creates, leaves alone, and adjusts topics', async () => {
        const topic = `${harness.namespace()}.applied`;
        const spec = { topic, partitions: 2, replicationFactor: 1, config: { 'retention.ms': '3600000' } };
        expect(await admin.applyTopics([spec])).toEqual([{ topic, action: 'created' }]);
        expect(await admin.applyTopics([spec])).toEqual([{ topic, action: 'unchanged' }]);
        const longer = { ...spec, config: { 'retention.ms': '7200000' } };
        expect(await admin.applyTopics([longer])).toEqual([{ topic, action: 'updated' }]);
        expect(await admin.applyTopics([longer])).toEqual([{ topic, action: 'unchanged' }]);
        expect(await admin.applyTopics([{ ...longer, partitions: 3 }])).toEqual([{ topic, action: 'updated' }]);
        await waitFor(async () => (await admin.partitionCount(topic)) === 3, { what: 'the third partition' });
        expect(await admin.listTopics()).toContain(topic);
      });

      it('tells the range of every partition and the committed offsets', async () => {
        const topic = await createTopic(2);
        await producer.sendTo({ topic, partition: 1 }, numbered(0, 5));
        expect(await admin.offsets(topic)).toEqual([
          { partition: 0, low: 0n, high: 0n },
          { partition: 1, low: 0n, high: 5n },
        ]);
        expect(await admin.committed(`${topic}.nobody`, topic)).toEqual([
          { partition: 0, offset: null },
          { partition: 1, offset: null },
        ]);
      });

      it('gives a topic that is deleted and made again another id', async () => {
        const topic = await createTopic(1);
        const first = (await admin.topicIds([topic])).get(topic);
        expect(first).toMatch(/^[0-9a-f-]{36}$/);
        await admin.deleteTopics([topic]);
        await waitFor(async () => !(await admin.listTopics()).includes(topic), { what: 'the topic to be gone' });
        await waitFor(
          async () => {
            const [done] = await admin.applyTopics([{ topic, partitions: 1, replicationFactor: 1, config: {} }]);
            return done?.action === 'created';
          },
          { what: 'the topic to be made again' },
        );
        const second = (await admin.topicIds([topic])).get(topic);
        expect(second).not.toBe(first);
      });

      it('deletes a topic that is not there without waiting', async () => {
        const begun = Date.now();
        await admin.deleteTopics([`${harness.namespace()}.absent`]);
        expect(Date.now() - begun).toBeLessThan(3_000);
      });
    });

    describe('consumer', () => {
      it('asks where to start before the first batch and starts there', async () => {
        const topic = await createTopic(2);
        await producer.sendTo({ topic, partition: 0 }, numbered(0, 6));
        await producer.sendTo({ topic, partition: 1 }, numbered(0, 6));
        const calls: string[] = [];
        const offsets = new Map<number, bigint[]>([
          [0, []],
          [1, []],
        ]);
        const consumer = consume(topic, {
          assigned: async ({ partition }) => {
            calls.push(`assigned ${partition}`);
            return partition === 0 ? { kind: 'offset', offset: 4n } : { kind: 'earliest' };
          },
          batch: async (batch) => {
            calls.push(`batch ${batch.partition}`);
            for (const record of batch.records) offsets.get(batch.partition)?.push(record.offset);
            expect(batch.highWatermark).toBeGreaterThanOrEqual(6n);
          },
          revoked: async ({ partition }) => {
            calls.push(`revoked ${partition}`);
          },
        });
        await consumer.start();
        await waitFor(() => offsets.get(0)?.length === 2 && offsets.get(1)?.length === 6, { what: 'all records' });
        expect(offsets.get(0)).toEqual([4n, 5n]);
        expect(offsets.get(1)).toEqual([0n, 1n, 2n, 3n, 4n, 5n]);
        expect(consumer.assignment()).toHaveLength(2);
        await consumer.stop();
        for (const partition of [0, 1]) {
          const own = calls.filter((call) => call.endsWith(String(partition)));
          expect(own[0]).toBe(`assigned ${partition}`);
          expect(own.at(-1)).toBe(`revoked ${partition}`);
        }
      });

      it('starts a restarted group at the committed offset', async () => {
        const topic = await createTopic(1);
        const at = { topic, partition: 0 };
        await producer.sendTo(at, numbered(0, 5));
        let seen = 0;
        const first = consume(topic, {
          batch: async (batch) => {
            seen += batch.records.length;
          },
        });
        await first.start();
        await waitFor(() => seen === 5, { what: 'the first records' });
        await first.commit(at, 3n);
        await first.stop();
        expect(await admin.committed(`${topic}.group`, topic)).toEqual([{ partition: 0, offset: 3n }]);
        const offsets: bigint[] = [];
        const second = consume(topic, {
          batch: async (batch) => {
            for (const record of batch.records) offsets.push(record.offset);
          },
        });
        await second.start();
        await waitFor(() => offsets.length === 2, { what: 'the records behind the commit' });
        await second.stop();
        expect(offsets).toEqual([3n, 4n]);
      });

      it('gives a rejected batch again after a growing pause, while other partitions go on', async () => {
        const topic = await createTopic(2);
        const bad = { topic, partition: 0 };
        const attempts: { atMs: number; offsets: string }[] = [];
        let others = 0;
        const consumer = consume(topic, {
          batch: async (batch) => {
            if (batch.partition === 1) {
              others += batch.records.length;
              return;
            }
            attempts.push({ atMs: Date.now(), offsets: batch.records.map((record) => record.offset).join() });
            if (attempts.length < 4) throw new Error('not yet');
          },
        });
        await producer.sendTo(bad, numbered(0, 3));
        await consumer.start();
        await waitFor(() => attempts.length >= 1, { what: 'the first attempt' });
        await producer.sendTo({ topic, partition: 1 }, numbered(0, 5));
        await waitFor(() => others === 5, { what: 'the other partition' });
        await waitFor(() => attempts.length === 4, { what: 'the fourth attempt' });
        await consumer.stop();
        expect(new Set(attempts.map(({ offsets }) => offsets)).size).toBe(1);
        const pauses = attempts.slice(1).map(({ atMs }, i) => atMs - (attempts[i]?.atMs ?? 0));
        // 200, 400, 800 ms, each cut by up to a half.
        expect(pauses[0]).toBeGreaterThanOrEqual(95);
        expect(pauses[1]).toBeGreaterThanOrEqual(195);
        expect(pauses[2]).toBeGreaterThanOrEqual(395);
      });

      it('retries an assigned handler that rejects', async () => {
        const topic = await createTopic(1);
        await producer.sendTo({ topic, partition: 0 }, numbered(0, 1));
        let tries = 0;
        let seen = 0;
        const consumer = consume(topic, {
          assigned: async () => {
            if (++tries < 3) throw new Error('the store is away');
            return { kind: 'earliest' };
          },
          batch: async (batch) => {
            seen += batch.records.length;
          },
        });
        await consumer.start();
        await waitFor(() => seen === 1, { what: 'the record' });
        expect(tries).toBe(3);
        await consumer.stop();
      });

      it('stops for good at an invariant', async () => {
        const topic = await createTopic(1);
        await producer.sendTo({ topic, partition: 0 }, numbered(0, 3));
        const fatal: unknown[] = [];
        let batches = 0;
        const consumer = consume(
          topic,
          {
            batch: async () => {
              batches++;
              throw new InvariantError('a gap');
            },
          },
          { onFatal: (error) => fatal.push(error) },
        );
        await consumer.start();
        await waitFor(() => fatal.length === 1, { what: 'the fatal call' });
        await producer.sendTo({ topic, partition: 0 }, numbered(3, 3));
        await new Promise((resolve) => setTimeout(resolve, 600));
        expect(batches).toBe(1);
        expect(fatal[0]).toBeInstanceOf(InvariantError);
        await consumer.stop();
        expect(await admin.committed(`${topic}.group`, topic)).toEqual([{ partition: 0, offset: null }]);
      });

      it('never overlaps calls for one partition, and runs partitions side by side', async () => {
        const topic = await createTopic(3);
        const running = new Map<number, number>();
        let together = 0;
        let overlaps = 0;
        let seen = 0;
        const enter = (partition: number): void => {
          const count = (running.get(partition) ?? 0) + 1;
          running.set(partition, count);
          if (count > 1) overlaps++;
          together = Math.max(together, [...running.values()].filter((value) => value > 0).length);
        };
        const leave = (partition: number): void => {
          running.set(partition, (running.get(partition) ?? 1) - 1);
        };
        const slowly = async <T>(partition: number, value: T): Promise<T> => {
          enter(partition);
          await new Promise((resolve) => setTimeout(resolve, 30));
          leave(partition);
          return value;
        };
        const consumer = consume(topic, {
          assigned: ({ partition }) => slowly(partition, { kind: 'earliest' as const }),
          batch: async (batch) => {
            await slowly(batch.partition, undefined);
            seen += batch.records.length;
          },
          revoked: ({ partition }) => slowly(partition, undefined),
        });
        await consumer.start();
        for (let i = 0; i < 10; i++) await producer.send(topic, numbered(i * 30, 30));
        await waitFor(() => seen === 300, { what: 'all records' });
        await consumer.stop();
        expect(overlaps).toBe(0);
        expect(together).toBeGreaterThan(1);
      });

      it('goes on at the offset of a seek and drops what was fetched before', async () => {
        const topic = await createTopic(1);
        const at = { topic, partition: 0 };
        await producer.sendTo(at, numbered(0, 20));
        const offsets: bigint[] = [];
        let sought = false;
        const consumer = consume(topic, {
          batch: async (batch) => {
            for (const record of batch.records) offsets.push(record.offset);
            if (!sought) {
              sought = true;
              consumer.seek(at, 18n);
              consumer.seek(at, 5n);
            }
          },
        });
        await consumer.start();
        await waitFor(() => offsets.length >= 35, { what: 'the records after the seek' });
        const again = offsets.slice(offsets.indexOf(19n) + 1);
        expect(again.slice(0, 15)).toEqual(Array.from({ length: 15 }, (_, i) => BigInt(i + 5)));
        await consumer.stop();
      });

      it('pauses and resumes a partition', async () => {
        const topic = await createTopic(1);
        const at = { topic, partition: 0 };
        let seen = 0;
        const consumer = consume(topic, {
          batch: async (batch) => {
            seen += batch.records.length;
          },
        });
        await producer.sendTo(at, numbered(0, 1));
        await consumer.start();
        await waitFor(() => seen === 1, { what: 'the first record' });
        consumer.pause(at);
        await producer.sendTo(at, numbered(1, 5));
        await new Promise((resolve) => setTimeout(resolve, 700));
        expect(seen).toBe(1);
        consumer.resume(at);
        await waitFor(() => seen === 6, { what: 'the records after the pause' });
        await consumer.stop();
      });

      it('ends a running batch before it leaves', async () => {
        const topic = await createTopic(1);
        const at = { topic, partition: 0 };
        await producer.sendTo(at, numbered(0, 1));
        const calls: string[] = [];
        const consumer = consume(topic, {
          batch: async () => {
            calls.push('begun');
            await new Promise((resolve) => setTimeout(resolve, 400));
            await consumer.commit(at, 1n);
            calls.push('ended');
          },
          revoked: async () => {
            calls.push('revoked');
          },
        });
        await consumer.start();
        await waitFor(() => calls.length === 1, { what: 'the batch to begin' });
        await consumer.stop();
        expect(calls).toEqual(['begun', 'ended', 'revoked']);
        expect(await admin.committed(`${topic}.group`, topic)).toEqual([{ partition: 0, offset: 1n }]);
      });

      it('moves partitions between two members without a gap', async () => {
        const topic = await createTopic(4);
        const seen = new Set<string>();
        const owners = new Map<string, Set<number>>([
          ['a', new Set()],
          ['b', new Set()],
        ]);
        const member = (name: string): KafkaConsumer => {
          const consumer = consume(topic, {
            batch: async (batch) => {
              owners.get(name)?.add(batch.partition);
              for (const record of batch.records) seen.add(`${batch.partition}/${record.offset}`);
              await consumer.commit(batch, (batch.records.at(-1)?.offset ?? 0n) + 1n);
            },
          });
          return consumer;
        };
        const a = member('a');
        await a.start();
        let sent = 0;
        const send = async (times: number): Promise<void> => {
          for (let i = 0; i < times; i++) {
            const results = await producer.send(topic, numbered(sent, 40));
            expect(results.every((result) => result.ok)).toBe(true);
            sent += 40;
          }
        };
        await send(3);
        await waitFor(() => seen.size === sent, { what: 'the records of one member' });
        const b = member('b');
        await b.start();
        await waitFor(() => a.assignment().length === 2 && b.assignment().length === 2, {
          what: 'two partitions each',
          timeoutMs: 20_000,
        });
        await send(5);
        await waitFor(() => seen.size === sent, { what: 'the records of two members' });
        expect(owners.get('b')?.size).toBeGreaterThan(0);
        await a.stop();
        await send(3);
        await waitFor(() => b.assignment().length === 4, { what: 'all partitions at the second', timeoutMs: 20_000 });
        await send(2);
        await waitFor(() => seen.size === sent, { what: 'the records after the first left' });
        await b.stop();
        const committed = await admin.committed(`${topic}.group`, topic);
        const offsets = await admin.offsets(topic);
        expect(committed.map(({ offset }) => offset)).toEqual(offsets.map(({ high }) => high));
      });

      it('keeps its place in the group while a batch takes longer than the session (handler slower than session)', async () => {
        const topic = await createTopic(2);
        await producer.sendTo({ topic, partition: 0 }, numbered(0, 1));
        let assigned = 0;
        let slow = 0;
        let quick = 0;
        const consumer = consume(topic, {
          assigned: async () => {
            assigned++;
            return { kind: 'earliest' };
          },
          batch: async (batch: KafkaBatch) => {
            if (batch.partition === 1) {
              quick++;
              return;
            }
            await new Promise((resolve) => setTimeout(resolve, SESSION_TIMEOUT_MS + 2_500));
            slow++;
          },
        });
        await consumer.start();
        await waitFor(() => consumer.assignment().length === 2, { what: 'the assignment' });
        await waitFor(
          async () => {
            await producer.sendTo({ topic, partition: 1 }, numbered(0, 1));
            return slow === 1;
          },
          { what: 'the slow batch', timeoutMs: 20_000, intervalMs: 500 },
        );
        expect(assigned).toBe(2);
        expect(quick).toBeGreaterThan(5);
        await consumer.stop();
      });

      it('waits for a topic that is not there yet', async () => {
        const topic = `${harness.namespace()}.later`;
        let seen = 0;
        const consumer = consume(topic, {
          batch: async (batch) => {
            seen += batch.records.length;
          },
        });
        await consumer.start();
        await new Promise((resolve) => setTimeout(resolve, 500));
        await admin.applyTopics([{ topic, partitions: 1, replicationFactor: 1, config: {} }]);
        await producer.sendTo({ topic, partition: 0 }, numbered(0, 2));
        await waitFor(() => seen === 2, { what: 'the records of the late topic', timeoutMs: 40_000 });
        await consumer.stop();
      });

      it('never jumps when its start is not in the log (topic-deleted/retention-overrun)', async () => {
        const topic = await createTopic(1);
        const at = { topic, partition: 0 };
        await producer.sendTo(at, numbered(0, 10));
        await harness.truncateBefore(at, 5n);
        for (const offset of [2n, 50n]) {
          const fatal: unknown[] = [];
          let batches = 0;
          const consumer = consume(
            topic,
            {
              assigned: async () => ({ kind: 'offset', offset }),
              batch: async () => {
                batches++;
              },
            },
            { onFatal: (error) => fatal.push(error), groupId: `${topic}.group-${offset}` },
          );
          await consumer.start();
          await waitFor(() => fatal.length === 1, { what: 'the fatal call' });
          expect(fatal[0]).toBeInstanceOf(KafkaOffsetOutOfRangeError);
          expect(fatal[0]).toMatchObject({
            code: 'SEC_KAFKA_OFFSET_OUT_OF_RANGE',
            fields: { topic, partition: 0, offset, low: 5n, high: 10n },
          });
          await consumer.stop();
          expect(batches).toBe(0);
        }
      });

      it('never jumps when the log is cut below its position while it runs', async () => {
        const topic = await createTopic(1);
        const at = { topic, partition: 0 };
        await producer.sendTo(at, numbered(0, 10));
        const fatal: unknown[] = [];
        const offsets: bigint[] = [];
        const consumer = consume(
          topic,
          {
            batch: async (batch) => {
              for (const record of batch.records) offsets.push(record.offset);
            },
          },
          { onFatal: (error) => fatal.push(error) },
        );
        await consumer.start();
        await waitFor(() => offsets.length === 10, { what: 'the records' });
        await harness.truncateBefore(at, 8n);
        // A position that retention has overrun: behind the cut.
        consumer.seek(at, 3n);
        await waitFor(() => fatal.length === 1, { what: 'the fatal call' });
        expect(fatal[0]).toBeInstanceOf(KafkaOffsetOutOfRangeError);
        await consumer.stop();
        expect(offsets).toHaveLength(10);
        expect(await admin.committed(`${topic}.group`, topic)).toEqual([{ partition: 0, offset: null }]);
      });

      it('can be stopped before it has joined, and twice', async () => {
        const consumer = consume(`${harness.namespace()}.never`, {});
        await consumer.start();
        await consumer.stop();
        await consumer.stop();
        expect(consumer.assignment()).toEqual([]);
      });
    });

    it('names every failure with a code and a category', async () => {
      const error: unknown = await admin.partitionCount(`${harness.namespace()}.absent`).catch((e: unknown) => e);
      expect(error).toBeInstanceOf(KafkaError);
      expect(error).toMatchObject({ code: 'SEC_KAFKA_UNKNOWN_TOPIC', category: 'not_found' });
    });
  });
}
