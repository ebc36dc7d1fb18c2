import { afterEach, describe, expect, it } from 'vitest';
import { FAULTS, KafkaError, type KafkaFault, KafkaProduceError } from './errors.ts';
import { GuardedProducer, type GuardedProducerOptions } from './guarded-producer.ts';
import type { OutgoingRecord, TopicPartition } from './port.ts';
import { silentLogger } from './wire.ts';

type Answer = 'write' | 'missing' | 'hang' | { readonly fault: KafkaFault; readonly written?: boolean };

/** A wire that answers requests from a script and keeps what a log would hold. */
function scriptedCluster(script: Answer[] = [], delayMs = 0) {
  const log: string[] = [];
  const requests: string[][] = [];
  let opened = 0;
  let closed = 0;
  let inFlight = 0;
  let inFlightMax = 0;
  const write = (values: string[]): bigint => {
    const base = BigInt(log.length);
    log.push(...values);
    return base;
  };
  return {
    log,
    requests,
    opened: () => opened,
    closed: () => closed,
    inFlightMax: () => inFlightMax,
    open: async () => {
      opened++;
      return {
        produce: async (_target: TopicPartition, records: readonly OutgoingRecord[]) => {
          inFlight++;
          inFlightMax = Math.max(inFlightMax, inFlight);
          try {
            const values = records.map((record) => String(record.value));
            requests.push(values);
            if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
            const answer = script.shift() ?? 'write';
            if (answer === 'hang') return await new Promise<never>(() => undefined);
            if (answer === 'missing') return null;
            if (answer === 'write') return { baseOffset: write(values), appendTimeMs: 1 };
            if (answer.written) write(values);
            throw new KafkaError('scripted', answer.fault);
          } finally {
            inFlight--;
          }
        },
        partitionCount: async () => 1,
        close: async () => {
          closed++;
        },
      };
    },
  };
}

const AT = { topic: 't', partition: 0 };
const records = (...values: string[]): OutgoingRecord[] => values.map((v) => ({ key: null, value: Buffer.from(v) }));

describe('GuardedProducer', () => {
  const open: GuardedProducer[] = [];
  afterEach(async () => {
    await Promise.all(open.splice(0).map((producer) => producer.close()));
  });
  function producerOn(cluster: ReturnType<typeof scriptedCluster>, options: Partial<GuardedProducerOptions> = {}) {
    const producer = new GuardedProducer({
      open: cluster.open,
      classify: () => FAULTS.unclassified,
      log: silentLogger,
      ...options,
    });
    open.push(producer);
    return producer;
  }

  it('sends again what an answer does not name (tulios/kafkajs#1303)', async () => {
    const cluster = scriptedCluster(['missing', 'missing', 'write']);
    const { baseOffset } = await producerOn(cluster).sendTo(AT, records('a'));
    expect(baseOffset).toBe(0n);
    expect(cluster.requests).toEqual([['a'], ['a'], ['a']]);
    expect(cluster.log).toEqual(['a']);
  });

  it('replaces the connections after an indefinite fault, and keeps them after a definite one', async () => {
    const cluster = scriptedCluster([{ fault: FAULTS.notLeader }, 'write', { fault: FAULTS.connectionLost }, 'write']);
    const producer = producerOn(cluster);
    await producer.sendTo(AT, records('a'));
    expect(cluster.opened()).toBe(1);
    await producer.sendTo(AT, records('b'));
    expect(cluster.opened()).toBe(2);
    expect(cluster.closed()).toBe(1);
  });

  it('replaces the connections when no answer comes at all, and gets the record through', async () => {
    const cluster = scriptedCluster(['hang', 'write']);
    await producerOn(cluster, { stallTimeoutMs: 50 }).sendTo(AT, records('a'));
    expect(cluster.opened()).toBe(2);
    expect(cluster.log).toEqual(['a']);
  });

  it('keeps the order of a partition through retries, with one request in flight', async () => {
    const script: Answer[] = ['write', { fault: FAULTS.notLeader }, 'missing', { fault: FAULTS.timeout }];
    const cluster = scriptedCluster(script, 1);
    const producer = producerOn(cluster);
    const sends = Array.from({ length: 50 }, (_, i) => producer.sendTo(AT, records(`${i}`)));
    const offsets = (await Promise.all(sends)).map(({ baseOffset }) => Number(baseOffset));
    expect(cluster.log).toEqual(Array.from({ length: 50 }, (_, i) => `${i}`));
    expect(offsets).toEqual(Array.from({ length: 50 }, (_, i) => i));
    expect(cluster.inFlightMax()).toBe(1);
  });

  it('gathers what comes while a request is under way, and nothing when idle', async () => {
    const cluster = scriptedCluster([], 5);
    const producer = producerOn(cluster);
    const first = producer.sendTo(AT, records('first'));
    await new Promise((resolve) => setTimeout(resolve, 1));
    const later = Array.from({ length: 20 }, (_, i) => producer.sendTo(AT, records(`${i}`)));
    await Promise.all([first, ...later]);
    expect(cluster.requests.map((request) => request.length)).toEqual([1, 20]);
  });

  it('limits a request by bytes', async () => {
    const cluster = scriptedCluster([], 2);
    const producer = producerOn(cluster, { requestBytesMax: 1_000 });
    const results = await producer.send('t', records(...Array.from({ length: 10 }, () => 'x'.repeat(300))));
    expect(results.every((result) => result.ok)).toBe(true);
    expect(cluster.requests.every((request) => request.length <= 3)).toBe(true);
  });

  it('lets callers wait when its queue is full, and takes them in order', async () => {
    const cluster = scriptedCluster([], 2);
    const producer = producerOn(cluster, { queueBytesMax: 1_000, requestBytesMax: 400 });
    const sends = Array.from({ length: 20 }, (_, i) => producer.sendTo(AT, records(`${i}`.padEnd(200, '.'))));
    await Promise.all(sends);
    expect(cluster.log.map((value) => Number.parseInt(value, 10))).toEqual(Array.from({ length: 20 }, (_, i) => i));
  });

  it('refuses a caller who waited for room in vain: nothing of it was written', async () => {
    const cluster = scriptedCluster(['hang']);
    const producer = producerOn(cluster, { queueBytesMax: 100, stallTimeoutMs: 300 });
    const first = producer.sendTo(AT, records('x'.repeat(90)), { timeoutMs: 5_000 });
    const error = await producer.sendTo(AT, records('y'), { timeoutMs: 60 }).catch((e: unknown) => e);
    expect(error).toMatchObject({ code: 'SEC_KAFKA_QUEUE_FULL', category: 'overload', indefinite: false });
    await first;
  });

  it('says of records that ran out of time whether they may have been written', async () => {
    const never: Answer[] = Array.from({ length: 50 }, () => ({ fault: FAULTS.notEnoughReplicas }));
    const definite = await producerOn(scriptedCluster(never))
      .sendTo(AT, records('a'), { timeoutMs: 300 })
      .catch((e: unknown) => e);
    expect(definite).toBeInstanceOf(KafkaProduceError);
    expect(definite).toMatchObject({ code: 'SEC_KAFKA_NOT_ENOUGH_REPLICAS', indefinite: false });
    // One attempt with an unknown end makes the whole call unknown, however the later ones end.
    const cluster = scriptedCluster([{ fault: FAULTS.connectionLost, written: true }, ...never]);
    const unknown = await producerOn(cluster)
      .sendTo(AT, records('a'), { timeoutMs: 300 })
      .catch((e: unknown) => e);
    expect(unknown).toMatchObject({ code: 'SEC_KAFKA_NOT_ENOUGH_REPLICAS', indefinite: true });
    expect(cluster.log).toEqual(['a']);
  });

  it('gives up at once on a fault that no retry can mend', async () => {
    const cluster = scriptedCluster([{ fault: FAULTS.unauthorized }]);
    await expect(producerOn(cluster).sendTo(AT, records('a'))).rejects.toMatchObject({
      code: 'SEC_KAFKA_UNAUTHORIZED',
      indefinite: false,
    });
    expect(cluster.requests).toHaveLength(1);
  });

  it('outlives a cluster that cannot be reached at first', async () => {
    const cluster = scriptedCluster();
    let refusals = 3;
    const producer = producerOn(cluster, {
      open: async () => {
        if (refusals-- > 0) throw new KafkaError('refused', FAULTS.connectionRefused);
        return cluster.open();
      },
    });
    const [result] = await producer.send('t', records('a'), { timeoutMs: 5_000 });
    expect(result?.ok).toBe(true);
  });

  it('treats an error that nobody knows as an unknown result', async () => {
    const cluster = scriptedCluster();
    let thrown = 0;
    const producer = producerOn(cluster, {
      open: async () => {
        const wire = await cluster.open();
        return {
          ...wire,
          produce: async (target: TopicPartition, batch: readonly OutgoingRecord[]) => {
            if (thrown++ === 0) throw new Error('who knows');
            return wire.produce(target, batch);
          },
        };
      },
    });
    await producer.sendTo(AT, records('a'));
    expect(cluster.opened()).toBe(2);
  });
});
