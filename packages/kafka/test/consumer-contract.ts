import { InvariantError } from '@tracehound/event-model';
import { waitFor } from '@tracehound/testkit';
import { describe, expect, it } from 'vitest';
import {
  type KafkaBatch,
  type KafkaConsumer,
  KafkaOffsetOutOfRangeError,
  KafkaTopicReplacedError,
} from '../src/index.ts';
import { type ContractBench, numbered, SESSION_TIMEOUT_MS } from './contract-bench.ts';

/** Groups: assignment, order, redelivery, rebalance, and what happens when the log is not where it was. */
export function describeConsumerContract(bench: ContractBench): void {
  const { createTopic, consume } = bench;

  describe('consumer', () => {
    it('asks where to start before the first batch and starts there', async () => {
      const topic = await createTopic(2);
      await bench.producer.sendTo({ topic, partition: 0 }, numbered(0, 6));
      await bench.producer.sendTo({ topic, partition: 1 }, numbered(0, 6));
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
      await bench.producer.sendTo(at, numbered(0, 5));
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
      expect(await bench.admin.committed(`${topic}.group`, topic)).toEqual([{ partition: 0, offset: 3n }]);
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

    it('gives what has come during a batch as one batch, however many fetches brought it', async () => {
      const topic = await createTopic(1);
      const at = { topic, partition: 0 };
      const sizes: number[] = [];
      const seen: bigint[] = [];
      let release: () => void = () => undefined;
      const blocked = new Promise<void>((resolve) => {
        release = resolve;
      });
      const consumer = consume(topic, {
        batch: async ({ records, highWatermark }) => {
          sizes.push(records.length);
          for (const { offset } of records) seen.push(offset);
          expect(highWatermark).toBeGreaterThan(records.at(-1)?.offset ?? 0n);
          if (sizes.length === 1) await blocked;
        },
      });
      await consumer.start();
      await bench.producer.sendTo(at, numbered(0, 1));
      await waitFor(() => sizes.length === 1, { what: 'the first batch' });
      for (let sent = 1; sent <= 20; sent++) await bench.producer.sendTo(at, numbered(sent, 1));
      release();
      await waitFor(() => seen.length === 21, { what: 'all records' });
      await consumer.stop();
      expect(seen).toEqual(Array.from({ length: 21 }, (_, offset) => BigInt(offset)));
      // The last of them may have been on their way in a fetch or two.
      expect(sizes.length).toBeLessThanOrEqual(4);
    });

    it('keeps a note with a committed offset, until the next commit', async () => {
      const topic = await createTopic(1);
      const at = { topic, partition: 0 };
      await bench.producer.sendTo(at, numbered(0, 5));
      const consumer = consume(topic, { batch: async () => undefined });
      await consumer.start();
      await waitFor(() => consumer.assignment().length === 1, { what: 'the partition' });
      const committed = async () => (await bench.admin.committed(`${topic}.group`, topic))[0];
      await consumer.commit(at, 2n, 'v1 from=1 Größe');
      expect(await committed()).toEqual({
        partition: 0,
        offset: 2n,
        ...(bench.client.keepsCommitNotes ? { note: 'v1 from=1 Größe' } : {}),
      });
      await consumer.commit(at, 3n);
      expect(await committed()).toEqual({ partition: 0, offset: 3n });
      await consumer.stop();
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
      await bench.producer.sendTo(bad, numbered(0, 3));
      await consumer.start();
      await waitFor(() => attempts.length >= 1, { what: 'the first attempt' });
      await bench.producer.sendTo({ topic, partition: 1 }, numbered(0, 5));
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
      await bench.producer.sendTo({ topic, partition: 0 }, numbered(0, 1));
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
      await bench.producer.sendTo({ topic, partition: 0 }, numbered(0, 3));
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
      await bench.producer.sendTo({ topic, partition: 0 }, numbered(3, 3));
      await new Promise((resolve) => setTimeout(resolve, 600));
      expect(batches).toBe(1);
      expect(fatal[0]).toBeInstanceOf(InvariantError);
      await consumer.stop();
      expect(await bench.admin.committed(`${topic}.group`, topic)).toEqual([{ partition: 0, offset: null }]);
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
      for (let i = 0; i < 10; i++) await bench.producer.send(topic, numbered(i * 30, 30));
      await waitFor(() => seen === 300, { what: 'all records' });
      await consumer.stop();
      expect(overlaps).toBe(0);
      expect(together).toBeGreaterThan(1);
    });

    it('goes on at the offset of a seek and drops what was fetched before', async () => {
      const topic = await createTopic(1);
      const at = { topic, partition: 0 };
      await bench.producer.sendTo(at, numbered(0, 20));
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
      await bench.producer.sendTo(at, numbered(0, 1));
      await consumer.start();
      await waitFor(() => seen === 1, { what: 'the first record' });
      consumer.pause(at);
      await bench.producer.sendTo(at, numbered(1, 5));
      await new Promise((resolve) => setTimeout(resolve, 700));
      expect(seen).toBe(1);
      consumer.resume(at);
      await waitFor(() => seen === 6, { what: 'the records after the pause' });
      await consumer.stop();
    });

    it('ends a running batch before it leaves', async () => {
      const topic = await createTopic(1);
      const at = { topic, partition: 0 };
      await bench.producer.sendTo(at, numbered(0, 1));
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
      expect(await bench.admin.committed(`${topic}.group`, topic)).toEqual([{ partition: 0, offset: 1n }]);
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
          const results = await bench.producer.send(topic, numbered(sent, 40));
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
      const committed = await bench.admin.committed(`${topic}.group`, topic);
      const offsets = await bench.admin.offsets(topic);
      expect(committed.map(({ offset }) => offset)).toEqual(offsets.map(({ high }) => high));
    });

    it('keeps its place in the group while a batch takes longer than the session (handler slower than session)', async () => {
      const topic = await createTopic(2);
      await bench.producer.sendTo({ topic, partition: 0 }, numbered(0, 1));
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
          await bench.producer.sendTo({ topic, partition: 1 }, numbered(0, 1));
          return slow === 1;
        },
        { what: 'the slow batch', timeoutMs: 20_000, intervalMs: 500 },
      );
      expect(assigned).toBe(2);
      expect(quick).toBeGreaterThan(5);
      await consumer.stop();
    });

    it('waits for a topic that is not there yet', async () => {
      const topic = `${bench.harness.namespace()}.later`;
      let seen = 0;
      const consumer = consume(topic, {
        batch: async (batch) => {
          seen += batch.records.length;
        },
      });
      await consumer.start();
      await new Promise((resolve) => setTimeout(resolve, 500));
      await bench.admin.applyTopics([{ topic, partitions: 1, replicationFactor: 1, config: {} }]);
      await bench.producer.sendTo({ topic, partition: 0 }, numbered(0, 2));
      await waitFor(() => seen === 2, { what: 'the records of the late topic', timeoutMs: 40_000 });
      await consumer.stop();
    });

    it('never jumps when its start is not in the log (topic-deleted/retention-overrun)', async () => {
      const topic = await createTopic(1);
      const at = { topic, partition: 0 };
      await bench.producer.sendTo(at, numbered(0, 10));
      await bench.harness.truncateBefore(at, 5n);
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
      await bench.producer.sendTo(at, numbered(0, 10));
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
      await bench.harness.truncateBefore(at, 8n);
      // A position that retention has overrun: behind the cut.
      consumer.seek(at, 3n);
      await waitFor(() => fatal.length === 1, { what: 'the fatal call' });
      expect(fatal[0]).toBeInstanceOf(KafkaOffsetOutOfRangeError);
      await consumer.stop();
      expect(offsets).toHaveLength(10);
      expect(await bench.admin.committed(`${topic}.group`, topic)).toEqual([{ partition: 0, offset: null }]);
    });

    it('never reads on in a topic that was deleted and made again', async () => {
      const topic = await createTopic(1);
      const at = { topic, partition: 0 };
      await bench.producer.sendTo(at, numbered(0, 5));
      const fatal: unknown[] = [];
      let seen = 0;
      const consumer = consume(
        topic,
        {
          batch: async (batch) => {
            seen += batch.records.length;
          },
        },
        { onFatal: (error) => fatal.push(error) },
      );
      await consumer.start();
      await waitFor(() => seen === 5, { what: 'the records of the first topic' });
      await bench.admin.deleteTopics([topic]);
      await waitFor(async () => !(await bench.admin.listTopics()).includes(topic), { what: 'the topic to be gone' });
      await waitFor(
        async () => {
          const spec = { topic, partitions: 1, replicationFactor: 1, config: {} };
          const [done] = await bench.admin.applyTopics([spec]);
          return done?.action === 'created';
        },
        { what: 'the topic to be made again' },
      );
      await bench.producer.sendTo(at, numbered(100, 20));
      await waitFor(() => fatal.length === 1, { what: 'the fatal call', timeoutMs: 20_000 });
      expect(fatal[0]).toBeInstanceOf(KafkaTopicReplacedError);
      expect(seen).toBe(5);
      await consumer.stop();
    });

    it('can be stopped before it has joined, and twice', async () => {
      const consumer = consume(`${bench.harness.namespace()}.never`, {});
      await consumer.start();
      await consumer.stop();
      await consumer.stop();
      expect(consumer.assignment()).toEqual([]);
    });
  });
}
