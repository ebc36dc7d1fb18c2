import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { sfc32, testStack, waitFor } from '@tracehound/testkit';
import { describe, expect, it } from 'vitest';
import { createKafkaJsClient, createPlatformaticClient, type KafkaClient } from '../src/index.ts';
import { numbered } from './contract-bench.ts';

const ADAPTERS = [
  ['kafkajs', createKafkaJsClient],
  ['platformatic', createPlatformaticClient],
] as const;

/** A port where nothing listens: reserved (RFC 6335, tcpmux) and never used here. */
const NOWHERE = ['127.0.0.1:1'];

async function firstRecord(client: KafkaClient, topic: string): Promise<string | undefined> {
  for await (const record of client.read({ topic, partition: 0 })) return String(record.value);
  return undefined;
}

describe.each(ADAPTERS)('%s on the network', (adapter, createClient) => {
  it('all-brokers-down-at-boot: lives on, answers within its time-out, stops', async () => {
    const client = createClient({ brokers: NOWHERE, clientId: 'nowhere' });
    const producer = await client.producer();
    const begun = Date.now();
    const [result] = await producer.send('t', numbered(0, 1), { timeoutMs: 1_500 });
    expect(result).toMatchObject({ ok: false, error: { indefinite: false, retriable: true } });
    expect(Date.now() - begun).toBeLessThan(6_000);
    const fatal: unknown[] = [];
    const consumer = client.consumer({
      groupId: 'g',
      topics: ['t'],
      onFatal: (error) => fatal.push(error),
      handler: {
        assigned: async () => ({ kind: 'committed' }),
        batch: async () => undefined,
        revoked: async () => undefined,
      },
    });
    await consumer.start();
    await new Promise((resolve) => setTimeout(resolve, 500));
    await consumer.stop();
    expect(fatal).toEqual([]);
    await producer.close();
    await client.close();
  });

  it('reads and writes gzip batches, of the other library too', async () => {
    const stack = await testStack();
    const topic = `${stack.namespace()}.gzip`;
    const client = createClient({ brokers: stack.kafkaBrokers, clientId: 'gzip', compression: 'gzip' });
    const admin = await client.admin();
    await admin.applyTopics([{ topic, partitions: 1, replicationFactor: 1, config: {} }]);
    const producer = await client.producer();
    const value = Buffer.from('compressible '.repeat(1_000));
    await producer.sendTo({ topic, partition: 0 }, [{ key: 'k', value }]);
    for (const [, create] of ADAPTERS) {
      const reader = create({ brokers: stack.kafkaBrokers, clientId: 'reader' });
      expect(await firstRecord(reader, topic)).toBe(String(value));
      await reader.close();
    }
    await producer.close();
    await admin.close();
    await client.close();
  });

  it('compression-mix: reads what the broker packs in gzip, snappy, lz4 and zstd, small and in many blocks', async () => {
    const stack = await testStack();
    const namespace = stack.namespace();
    const client = createClient({ brokers: stack.kafkaBrokers, clientId: 'mix' });
    const admin = await client.admin();
    const producer = await client.producer();
    const random = sfc32(12);
    const values = [
      Buffer.from('small'),
      Buffer.from('compressible '.repeat(20_000)),
      Buffer.from(Array.from({ length: 200_000 }, () => random.below(256))),
    ];
    for (const codec of ['gzip', 'snappy', 'lz4', 'zstd']) {
      const topic = `${namespace}.${codec}`;
      // The broker packs anew what comes in another codec than that of its topic.
      const config = { 'compression.type': codec };
      await admin.applyTopics([{ topic, partitions: 1, replicationFactor: 1, config }]);
      const records = values.map((value) => ({ key: codec, value }));
      await producer.sendTo({ topic, partition: 0 }, records);
      const read: string[] = [];
      for await (const record of client.read({ topic, partition: 0 })) read.push(record.value?.toString('hex') ?? '');
      expect({ codec, whole: read.join() === values.map((value) => value.toString('hex')).join() }).toEqual({
        codec,
        whole: true,
      });
    }
    await producer.close();
    await admin.close();
    await client.close();
  });

  it('decompression-bomb: halts its partition, named with the offset, and no other; a higher bound reads it', async () => {
    const stack = await testStack();
    const namespace = stack.namespace();
    const packing = createClient({ brokers: stack.kafkaBrokers, clientId: 'bomb', compression: 'gzip' });
    const admin = await packing.admin();
    const producer = await packing.producer();
    const bomb = { key: 'bomb', value: Buffer.alloc(40_000_000) };
    const topics: string[] = [];
    for (const codec of ['gzip', 'snappy', 'lz4', 'zstd']) {
      const topic = `${namespace}.bomb.${codec}`;
      topics.push(topic);
      // 40 MB of nothing are 2 MB in snappy, and a few kilobytes in zstd.
      const config = { 'compression.type': codec, 'max.message.bytes': '4194304' };
      await admin.applyTopics([{ topic, partitions: 2, replicationFactor: 1, config }]);
      await producer.sendTo({ topic, partition: 0 }, numbered(0, 1));
      await producer.sendTo({ topic, partition: 0 }, [bomb]);
      await producer.sendTo({ topic, partition: 1 }, numbered(0, 1));
    }
    await producer.close();
    await admin.close();
    await packing.close();

    const halted = new Set<string>();
    const client = createClient({
      brokers: stack.kafkaBrokers,
      clientId: 'careful',
      logger: (_, message, { topic, partition, offset, code }) => {
        if (message !== 'a partition could not be fetched') return;
        halted.add(`${String(topic)}/${String(partition)}/${String(offset)} ${String(code)}`);
      },
    });
    for (const topic of topics) {
      const read: string[] = [];
      const reading = (async () => {
        for await (const record of client.read({ topic, partition: 0 }, { from: 1n })) read.push(String(record.key));
      })();
      await expect(reading, topic).rejects.toMatchObject({
        ...{ code: 'SEC_KAFKA_BATCH_TOO_LARGE', retriable: false },
        fields: { topic, partition: 0, offset: 1n },
      });
      expect(read).toEqual([]);
    }
    const seen = new Set<string>();
    const consumer = client.consumer({
      groupId: `${namespace}.careful`,
      topics,
      onFatal: (error) => expect.unreachable(String(error)),
      handler: {
        assigned: async () => ({ kind: 'earliest' }),
        batch: async ({ topic, partition, records }) => {
          for (const { offset } of records) seen.add(`${topic}/${partition}/${offset}`);
        },
        revoked: async () => undefined,
      },
    });
    await consumer.start();
    await waitFor(async () => seen.size >= 2 * topics.length && halted.size >= topics.length, {
      what: 'what lies before and beside the bombs, and their names',
    });
    // What lies before it is read, also when both came in one answer.
    expect([...seen].sort()).toEqual(topics.flatMap((topic) => [`${topic}/0/0`, `${topic}/1/0`]).sort());
    expect([...halted].sort()).toEqual(topics.map((topic) => `${topic}/0/1 SEC_KAFKA_BATCH_TOO_LARGE`).sort());
    await consumer.stop();
    await client.close();

    const roomy = createClient({ brokers: stack.kafkaBrokers, clientId: 'roomy', unpackedBatchBytesMax: 64_000_000 });
    for (const topic of topics) {
      let bytes = 0;
      for await (const { value } of roomy.read({ topic, partition: 0 })) bytes += value?.length ?? 0;
      expect({ topic, bytes }).toEqual({ topic, bytes: 40_000_002 });
    }
    await roomy.close();
  });

  it('shows what it does through the given logger only, and nothing secret', async () => {
    const lines: string[] = [];
    const password = 'canary-4711';
    const client = createClient({
      brokers: NOWHERE,
      clientId: 'logs',
      sasl: { mechanism: 'plain', username: 'user', password },
      logger: (level, message, fields) =>
        lines.push(JSON.stringify({ level, message, fields }, (_, v: unknown) => (v instanceof Error ? v.message : v))),
    });
    const producer = await client.producer();
    await producer.send('t', numbered(0, 1), { timeoutMs: 800 });
    const consumer = client.consumer({
      groupId: 'g',
      topics: ['t'],
      onFatal: () => undefined,
      handler: {
        assigned: async () => ({ kind: 'committed' }),
        batch: async () => undefined,
        revoked: async () => undefined,
      },
    });
    await consumer.start();
    await waitFor(() => lines.length > 0, { what: 'a line' });
    await consumer.stop();
    await producer.close();
    await client.close();
    expect(lines.join()).not.toContain(password);
  });

  it('lets the process end after close, without a warning (TimeoutNegativeWarning)', async () => {
    const stack = await testStack();
    const child = spawn(
      process.execPath,
      [
        '--conditions=@tracehound/source',
        '--trace-warnings',
        fileURLToPath(new URL('./produce-consume-close.ts', import.meta.url)),
        adapter,
        stack.kafkaBrokers.join(),
        stack.namespace(),
      ],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += String(chunk)));
    child.stderr.on('data', (chunk: Buffer) => (output += String(chunk)));
    const code = await new Promise((resolve) => child.on('exit', resolve));
    expect({ code, output }).toEqual({ code: 0, output: 'seen 5, closed\n' });
  });
});
