import { waitFor } from '@tracehound/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { KafkaConsumer, KafkaRefusal } from '../src/index.ts';
import { type AdapterHarness, ContractBench, numbered } from './contract-bench.ts';

export type RightsHarness = AdapterHarness & {
  /** Nobody may read from a topic, or be a member of a group, while set. */
  setRefused(what: 'topic' | 'group', name: string, isRefused: boolean): Promise<void>;
};

const CODE = 'SEC_KAFKA_UNAUTHORIZED';

/** What a consumer is refused, once it says so. */
async function refusalsOf(consumer: KafkaConsumer): Promise<readonly KafkaRefusal[]> {
  await waitFor(() => consumer.refusals().length > 0, { what: 'the refusal', timeoutMs: 30_000 });
  return consumer.refusals();
}

/** What a consumer says of rights that it does not have: every adapter passes the same cases. */
export function describeRefusalContract(adapter: string, open: () => Promise<RightsHarness>): void {
  describe(`Kafka refusals: ${adapter}`, () => {
    const bench = new ContractBench<RightsHarness>();
    beforeAll(() => bench.open(open));
    afterAll(() => bench.close());

    /** A consumer that counts what it reads, from the earliest record on. */
    function counting(topic: string) {
      const offsets = new Set<bigint>();
      const consumer = bench.consume(topic, {
        assigned: async () => ({ kind: 'earliest' }),
        batch: async (batch) => {
          for (const { offset } of batch.records) offsets.add(offset);
        },
      });
      return { consumer, offsets };
    }

    it('acl-revoked: names the partition that may no longer be read, and reads on when it may again', async () => {
      const topic = await bench.createTopic(1);
      const at = { topic, partition: 0 };
      await bench.producer.sendTo(at, numbered(0, 3));
      const { consumer, offsets } = counting(topic);
      await consumer.start();
      await waitFor(() => offsets.size === 3, { what: 'the first records', timeoutMs: 30_000 });
      expect(consumer.refusals()).toEqual([]);
      await bench.harness.setRefused('topic', topic, true);
      expect(await refusalsOf(consumer)).toEqual([{ partition: at, code: CODE }]);
      await bench.producer.sendTo(at, numbered(3, 3));
      await bench.harness.setRefused('topic', topic, false);
      await waitFor(() => offsets.size === 6, { what: 'the records that waited', timeoutMs: 30_000 });
      expect(consumer.refusals()).toEqual([]);
      await consumer.stop();
    });

    it('acl-revoked: names a partition that may not be read from the beginning', async () => {
      const topic = await bench.createTopic(1);
      await bench.producer.sendTo({ topic, partition: 0 }, numbered(0, 3));
      await bench.harness.setRefused('topic', topic, true);
      const { consumer, offsets } = counting(topic);
      await consumer.start();
      expect(await refusalsOf(consumer)).toMatchObject([{ code: CODE }]);
      expect(offsets.size).toBe(0);
      await bench.harness.setRefused('topic', topic, false);
      await waitFor(() => offsets.size === 3, { what: 'the records that waited', timeoutMs: 30_000 });
      expect(consumer.refusals()).toEqual([]);
      await consumer.stop();
    });

    it('acl-revoked: says that the group is refused, in the middle and at a start, and goes on when it is not', async () => {
      const topic = await bench.createTopic(1);
      const at = { topic, partition: 0 };
      await bench.producer.sendTo(at, numbered(0, 3));
      const { consumer, offsets } = counting(topic);
      await consumer.start();
      await waitFor(() => offsets.size === 3, { what: 'the first records', timeoutMs: 30_000 });
      await bench.harness.setRefused('group', `${topic}.group`, true);
      expect(await refusalsOf(consumer)).toEqual([{ partition: null, code: CODE }]);
      const late = counting(topic);
      await late.consumer.start();
      expect(await refusalsOf(late.consumer)).toEqual([{ partition: null, code: CODE }]);
      await late.consumer.stop();
      await bench.producer.sendTo(at, numbered(3, 3));
      await bench.harness.setRefused('group', `${topic}.group`, false);
      await waitFor(() => offsets.size === 6, { what: 'the records that waited', timeoutMs: 60_000 });
      expect(consumer.refusals()).toEqual([]);
      await consumer.stop();
    });
  });
}
