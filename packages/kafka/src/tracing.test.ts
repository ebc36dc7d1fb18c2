import {
  formatTraceparent,
  NO_TRACER,
  parseTraceparent,
  type SpanContext,
  type SpanStart,
  type Tracer,
} from '@tracehound/event-model';
import { describe, expect, it } from 'vitest';
import { createMemoryKafka } from './memory/index.ts';
import type { PartitionHandler } from './port.ts';
import { traceKafka } from './tracing.ts';

const AT = { topic: 't', partition: 0 };
const CURRENT: SpanContext = { traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7', sampled: true };
const OTHER: SpanContext = { ...CURRENT, spanId: '00f067aa0ba902b8' };
const SENT = formatTraceparent({ ...CURRENT, spanId: '00000000000000ff' });

function setUp(current: SpanContext | null = CURRENT) {
  const starts: SpanStart[] = [];
  let bad = 0;
  const tracer: Tracer = {
    ...NO_TRACER,
    enabled: true,
    current: () => current,
    span(start, work) {
      starts.push(start);
      return work({ context: { ...CURRENT, spanId: '00000000000000ff' }, set: () => undefined });
    },
    read(header) {
      const context = header === undefined ? null : parseTraceparent(header.toString());
      if (header !== undefined && context === null) bad++;
      return context;
    },
  };
  const kafka = createMemoryKafka({ now: () => 1 });
  kafka.createTopics([{ topic: 't', partitions: 1 }]);
  return { kafka, client: traceKafka(kafka.client(), tracer), starts, bad: () => bad };
}

const record = (value: string, headers?: Record<string, string>) => ({
  key: null,
  value: Buffer.from(value),
  ...(headers ? { headers } : {}),
});

describe('traceKafka', () => {
  it('gives back the client itself when tracing is off', () => {
    const client = createMemoryKafka({ now: () => 1 }).client();
    expect(traceKafka(client, NO_TRACER)).toBe(client);
  });

  it('adds a header beside the others and leaves keys, values and order', async () => {
    const { kafka, client, starts } = setUp();
    const producer = await client.producer();
    await producer.send('t', [record('a', { own: 'x' }), record('b')]);
    await producer.sendTo(AT, [record('c')]);
    expect(kafka.records('t').map(({ value }) => String(value))).toEqual(['a', 'b', 'c']);
    expect(kafka.records('t').map(({ headers }) => String(headers['traceparent']))).toEqual([SENT, SENT, SENT]);
    expect(String(kafka.records('t')[0]?.headers['own'])).toBe('x');
    expect(starts.map(({ name, kind }) => [name, kind])).toEqual([
      ['send t', 'producer'],
      ['send t', 'producer'],
    ]);
    expect(starts[1]?.attributes).toMatchObject({
      'messaging.system': 'kafka',
      'messaging.destination.name': 't',
      'messaging.destination.partition.id': '0',
      'messaging.batch.message_count': 1,
    });
    await producer.close();
  });

  it('leaves records alone outside a span, and those that bring contexts of their own', async () => {
    const outside = setUp(null);
    await (await outside.client.producer()).sendTo(AT, [record('a')]);
    expect(outside.kafka.records('t')[0]?.headers).toEqual({});
    const { kafka, client, starts } = setUp();
    await (await client.producer()).sendTo(AT, [record('a', { traceparent: formatTraceparent(OTHER) }), record('b')]);
    expect(kafka.records('t').map(({ headers }) => headers['traceparent']?.toString())).toEqual([
      formatTraceparent(OTHER),
      undefined,
    ]);
    expect(starts).toEqual([]);
  });

  it('gives at most 1,000 records of a call a header', async () => {
    const { kafka, client } = setUp();
    const many = Array.from({ length: 1_005 }, (_, n) => record(String(n)));
    await (await client.producer()).sendTo(AT, many);
    expect(kafka.records('t').filter(({ headers }) => headers['traceparent'] !== undefined)).toHaveLength(1_000);
    expect(kafka.records('t')).toHaveLength(1_005);
  });

  it('links a batch to each context in its records once; bad headers are passed over', async () => {
    const { client, starts, bad, kafka } = setUp(null);
    const producer = await kafka.client().producer();
    const headers = [CURRENT, CURRENT, OTHER].map((context) => ({ traceparent: formatTraceparent(context) }));
    await producer.sendTo(AT, [
      ...headers.map((own) => record('v', own)),
      record('v', { traceparent: 'x' }),
      record('v'),
    ]);
    const got: number[] = [];
    let done: () => void = () => undefined;
    const whole = new Promise<void>((resolve) => {
      done = resolve;
    });
    const handler: PartitionHandler = {
      assigned: async () => ({ kind: 'earliest' }),
      revoked: async () => undefined,
      async batch({ records }) {
        got.push(records.length);
        if (got.reduce((sum, count) => sum + count, 0) === 5) done();
      },
    };
    const consumer = client.consumer({ groupId: 'g', topics: ['t'], handler, onFatal: () => undefined });
    await consumer.start();
    await whole;
    await consumer.stop();
    expect(starts.flatMap(({ links }) => links)).toEqual([CURRENT, OTHER]);
    expect(starts[0]).toMatchObject({ name: 'process t', kind: 'consumer' });
    expect(starts[0]?.attributes).toMatchObject({
      'messaging.consumer.group.name': 'g',
      'messaging.kafka.offset': 0,
      'messaging.batch.message_count': 5,
    });
    expect(bad()).toBe(1);
  });
});
