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
