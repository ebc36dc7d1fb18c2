import { waitFor } from '@tracehound/testkit';
import { afterEach, describe, expect, it } from 'vitest';
import { FAULTS, KafkaError } from './errors.ts';
import { GroupConsumer } from './group-consumer.ts';
import { MemoryBroker } from './memory/broker.ts';
import { memoryConsumerWires, openMemoryFetchWire } from './memory/wires.ts';
import type { KafkaConsumer, PartitionHandler } from './port.ts';
import { type ConsumerWires, type MembershipEvents, silentLogger } from './wire.ts';

const TOPIC = 't';
const AT = { topic: TOPIC, partition: 0 };

function brokerWith(partitions: number): MemoryBroker {
  const broker = new MemoryBroker(() => 1);
  broker.createTopic({ topic: TOPIC, partitions, replicationFactor: 1, config: {} });
  return broker;
}

const fill = (broker: MemoryBroker, count: number, partition = 0): void => {
  for (let i = 0; i < count; i++)
    broker.append({ topic: TOPIC, partition }, [{ key: null, value: Buffer.from(`${i}`) }]);
};

describe('GroupConsumer', () => {
  const consumers: KafkaConsumer[] = [];
  afterEach(async () => {
    await Promise.all(consumers.splice(0).map((consumer) => consumer.stop()));
  });

  function consume(
    wires: ConsumerWires,
    handler: Partial<PartitionHandler>,
    options: { sessionTimeoutMs?: number } = {},
  ) {
    const fatal: unknown[] = [];
    const consumer = new GroupConsumer(
      {
        groupId: 'g',
        topics: [TOPIC],
        onFatal: (error) => fatal.push(error),
        ...options,
        handler: {
          assigned: async () => ({ kind: 'committed' }),
          batch: async () => undefined,
          revoked: async () => undefined,
          ...handler,
        },
      },
      wires,
      silentLogger,
      { fetchStallMs: 500, memberGraceMs: 500 },
    );
    consumers.push(consumer);
    return { consumer, fatal };
  }

  it('replaces connections on which a fetch never ends (stall watchdog)', async () => {
    const broker = brokerWith(1);
    fill(broker, 3);
    let opened = 0;
    const wires: ConsumerWires = {
      ...memoryConsumerWires(broker),
      openFetch: async () => {
        const wire = openMemoryFetchWire(broker);
        return ++opened > 1 ? wire : { ...wire, fetch: () => new Promise<never>(() => undefined) };
      },
    };
    let seen = 0;
    const { consumer } = consume(wires, {
      batch: async (batch) => {
        seen += batch.records.length;
      },
    });
    await consumer.start();
    await waitFor(() => seen === 3, { what: 'the records after the stall', timeoutMs: 20_000 });
    expect(opened).toBeGreaterThan(1);
  });

  it('makes a silent member anew (stall watchdog)', async () => {
    const broker = brokerWith(1);
    fill(broker, 1);
    let joins = 0;
    const real = memoryConsumerWires(broker);
    const wires: ConsumerWires = {
      ...real,
      join: async (options, events) =>
        ++joins > 1
          ? real.join(options, events)
          : { commit: () => new Promise<never>(() => undefined), close: () => Promise.resolve() },
    };
    let seen = 0;
    const { consumer } = consume(
      wires,
      {
        batch: async (batch) => {
          seen += batch.records.length;
        },
      },
      { sessionTimeoutMs: 250 },
    );
    await consumer.start();
    await waitFor(() => seen === 1, { what: 'the record at the second member', timeoutMs: 20_000 });
    expect(joins).toBe(2);
  });

  it('joins again after a crash of the member, with revoked before the next assigned', async () => {
    const broker = brokerWith(2);
    fill(broker, 2);
    const calls: string[] = [];
    const { consumer } = consume(memoryConsumerWires(broker), {
      assigned: async ({ partition }) => {
        calls.push(`assigned ${partition}`);
        return { kind: 'earliest' };
      },
      revoked: async ({ partition }) => {
        calls.push(`revoked ${partition}`);
      },
    });
    await consumer.start();
    await waitFor(() => calls.length === 2, { what: 'the first assignment' });
    broker.expelMembers('g');
    await waitFor(() => calls.length === 6, { what: 'the second assignment' });
    for (const partition of [0, 1]) {
      expect(calls.filter((call) => call.endsWith(`${partition}`))).toEqual([
        `assigned ${partition}`,
        `revoked ${partition}`,
        `assigned ${partition}`,
      ]);
    }
  });

  it('waits for the running batch before the same partition is assigned again', async () => {
    const broker = brokerWith(1);
    fill(broker, 1);
    const calls: string[] = [];
    let release = (): void => undefined;
    const { consumer } = consume(memoryConsumerWires(broker), {
      assigned: async () => {
        calls.push('assigned');
        return { kind: 'earliest' };
      },
      batch: async () => {
        calls.push('begun');
        if (calls.length === 2) {
          await new Promise<void>((resolve) => {
            release = resolve;
          });
          calls.push('ended');
        }
      },
      revoked: async () => {
        calls.push('revoked');
      },
    });
    await consumer.start();
    await waitFor(() => calls.includes('begun'), { what: 'the batch' });
    broker.rebalance('g');
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(calls).toEqual(['assigned', 'begun']);
    release();
    await waitFor(() => calls.length === 6, { what: 'the batch under the new assignment' });
    expect(calls).toEqual(['assigned', 'begun', 'ended', 'revoked', 'assigned', 'begun']);
  });

  it('starts no batch once a rebalance has begun', async () => {
    const broker = brokerWith(1);
    let events: MembershipEvents | undefined;
    const real = memoryConsumerWires(broker);
    const wires: ConsumerWires = {
      ...real,
      join: async (options, given) => {
        events = given;
        return real.join(options, given);
      },
    };
    let seen = 0;
    const { consumer } = consume(wires, {
      batch: async (batch) => {
        seen += batch.records.length;
      },
    });
    await consumer.start();
    await waitFor(() => consumer.assignment().length === 1, { what: 'the assignment' });
    events?.rebalancing();
    fill(broker, 5);
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(seen).toBe(0);
    events?.joined([AT]);
    await waitFor(() => seen === 5, { what: 'the records after the rebalance' });
  });

  it('retries a commit until it is done and forgets those of lost partitions', async () => {
    const broker = brokerWith(1);
    fill(broker, 5);
    broker.failNextCommits(2);
    const { consumer } = consume(memoryConsumerWires(broker), {});
    await consumer.start();
    await waitFor(() => consumer.assignment().length === 1, { what: 'the assignment' });
    await Promise.all([consumer.commit(AT, 2n), consumer.commit(AT, 4n)]);
    expect(broker.committed('g', AT)?.offset).toBe(4n);
    await consumer.commit({ topic: TOPIC, partition: 9 }, 1n);
    expect(broker.committed('g', { topic: TOPIC, partition: 9 })).toBeNull();
  });

  it('goes on after lost connections and while a partition has no leader', async () => {
    const broker = brokerWith(2);
    fill(broker, 3, 0);
    fill(broker, 3, 1);
    broker.failNextFetches(2);
    broker.setLeaderless({ topic: TOPIC, partition: 1 }, true);
    const seen = [0, 0];
    const { consumer, fatal } = consume(memoryConsumerWires(broker), {
      batch: async (batch) => {
        seen[batch.partition] = (seen[batch.partition] ?? 0) + batch.records.length;
      },
    });
    await consumer.start();
    await waitFor(() => seen[0] === 3, { what: 'the partition with a leader' });
    broker.setLeaderless({ topic: TOPIC, partition: 1 }, false);
    await waitFor(() => seen[1] === 3, { what: 'the other one, once it has one' });
    expect(fatal).toEqual([]);
  });

  it('does not take the word of one broker for an offset out of range', async () => {
    const broker = brokerWith(1);
    fill(broker, 4);
    const real = memoryConsumerWires(broker);
    let lies = 2;
    const wires: ConsumerWires = {
      ...real,
      openFetch: async () => {
        const wire = openMemoryFetchWire(broker);
        return {
          ...wire,
          fetch: async (node, requests, waitMsMax) => {
            if (lies-- <= 0) return wire.fetch(node, requests, waitMsMax);
            return requests.map(({ topic, partition, offset }) => ({
              kind: 'fault' as const,
              topic,
              partition,
              askedOffset: offset,
              fault: FAULTS.offsetOutOfRange,
              cause: new KafkaError('a leader just elected', FAULTS.offsetOutOfRange),
            }));
          },
        };
      },
    };
    let seen = 0;
    const { consumer, fatal } = consume(wires, {
      batch: async (batch) => {
        seen += batch.records.length;
      },
    });
    await consumer.start();
    await waitFor(() => seen === 4, { what: 'the records' });
    expect(fatal).toEqual([]);
  });

  it('stops fetching while the handler is behind: memory stays bounded', async () => {
    const broker = brokerWith(1);
    for (let i = 0; i < 60; i++) broker.append(AT, [{ key: null, value: Buffer.alloc(200_000) }]);
    let fetched = 0;
    const real = memoryConsumerWires(broker);
    const wires: ConsumerWires = {
      ...real,
      openFetch: async () => {
        const wire = openMemoryFetchWire(broker);
        return {
          ...wire,
          fetch: async (...args) => {
            const answers = await wire.fetch(...args);
            for (const answer of answers) if (answer.kind === 'records') fetched += answer.records.count;
            return answers;
          },
        };
      },
    };
    let release = (): void => undefined;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    let seen = 0;
    const { consumer } = consume(wires, {
      batch: async (batch) => {
        await gate;
        seen += batch.records.length;
      },
    });
    await consumer.start();
    await waitFor(() => fetched > 0, { what: 'the first fetch' });
    await new Promise((resolve) => setTimeout(resolve, 300));
    // 12 MB are there; two times 1 MiB and one fetch more may be held.
    expect(fetched).toBeLessThanOrEqual(20);
    release();
    await waitFor(() => seen === 60, { what: 'all records' });
  });
});
