/**
 * Lane `kafka`: what the guarded producer and the shared consumer cost beside the libraries as they come. Every subject
 * writes and reads the same records; a consumer counts only when it has seen all of them. One process, one machine,
 * subjects in turn, median of the runs with their spread.
 *
 *   node --conditions=@tracehound/source bench/lanes/kafka.ts [--records 200000] [--runs 3] [--json]
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Consumer, ProduceAcks, Producer } from '@platformatic/kafka';
import {
  createKafkaJsClient,
  createPlatformaticClient,
  type KafkaClient,
  type OutgoingRecord,
} from '@tracehound/kafka';
import { openStack } from '@tracehound/stack';
import kafkajs from 'kafkajs';

const PARTITIONS = 12;
const VALUE_BYTES = 200;
/** One call of a gateway: the events of a request. */
const RECORDS_PER_SEND = 500;
const SENDS_IN_FLIGHT = 8;
const LATENCY_SENDS = 2_000;

export type KafkaLaneRow = {
  readonly subject: string;
  readonly measure: 'produce' | 'consume' | 'single send';
  readonly unit: 'records/s' | 'ms p50' | 'ms p99';
  readonly median: number;
  readonly min: number;
  readonly max: number;
};

export type KafkaLaneOptions = {
  readonly brokers: readonly string[];
  readonly records: number;
  readonly runs: number;
  readonly onLine: (line: string) => void;
};

/** Something that writes batches to a topic. */
type Writer = { send(records: readonly OutgoingRecord[]): Promise<unknown>; close(): Promise<void> };

type Subject = {
  readonly name: string;
  openWriter(topic: string): Promise<Writer>;
  /** Resolves once `count` records of the topic have been seen by a new group. */
  consume(topic: string, count: number): Promise<void>;
  close(): Promise<void>;
};

export async function runKafkaLane(options: KafkaLaneOptions): Promise<readonly KafkaLaneRow[]> {
  const { brokers, records, runs, onLine } = options;
  const subjects = [
    guarded(createKafkaJsClient({ brokers, clientId: 'bench' })),
    guarded(createPlatformaticClient({ brokers, clientId: 'bench' })),
    rawKafkaJs(brokers),
    rawPlatformatic(brokers),
  ];
  const admin = await createKafkaJsClient({ brokers, clientId: 'bench-admin' }).admin();
  const found = new Map<string, { row: Omit<KafkaLaneRow, 'median' | 'min' | 'max'>; values: number[] }>();
  const note = (subject: string, measure: KafkaLaneRow['measure'], unit: KafkaLaneRow['unit'], value: number): void => {
    const key = `${subject}/${measure}/${unit}`;
    const entry = found.get(key) ?? { row: { subject, measure, unit }, values: [] };
    entry.values.push(value);
    found.set(key, entry);
  };
  try {
    for (let run = 0; run < runs; run++) {
      for (const subject of subjects) {
        const topic = `bench-kafka-${process.pid}-${run}-${subject.name.replaceAll(' ', '-')}`;
        const config = { 'message.timestamp.type': 'LogAppendTime', 'retention.ms': '600000' };
        await admin.applyTopics([{ topic, partitions: PARTITIONS, replicationFactor: 1, config }]);
        const writer = await subject.openWriter(topic);
        await writer.send(batch(0, RECORDS_PER_SEND)); // connections and code are warm
        const produced = await produceAll(writer, records);
        note(subject.name, 'produce', 'records/s', produced);
        const [p50, p99] = await singleSends(writer);
        note(subject.name, 'single send', 'ms p50', p50);
        note(subject.name, 'single send', 'ms p99', p99);
        await writer.close();
        // What the log holds, not what was sent: raw kafkajs writes part of the first batch twice on a new topic.
        const offsets = await admin.offsets(topic);
        const total = offsets.reduce((sum, { low, high }) => sum + Number(high - low), 0);
        if (total < records + RECORDS_PER_SEND + LATENCY_SENDS) throw new Error(`${subject.name} lost records`);
        const begun = performance.now();
        await subject.consume(topic, total);
        const consumed = (total / (performance.now() - begun)) * 1000;
        note(subject.name, 'consume', 'records/s', consumed);
        onLine(
          `run ${run + 1}, ${subject.name}: produce ${Math.round(produced)}/s, consume ${Math.round(consumed)}/s, ` +
            `single send p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms`,
        );
        await admin.deleteTopics([topic]);
      }
    }
  } finally {
    await Promise.all(subjects.map((subject) => subject.close()));
    await admin.close();
  }
  return [...found.values()].map(({ row, values }) => {
    const sorted = values.toSorted((a, b) => a - b);
    return { ...row, median: quantile(sorted, 0.5), min: sorted[0] ?? 0, max: sorted.at(-1) ?? 0 };
  });
}

function batch(from: number, count: number): OutgoingRecord[] {
  return Array.from({ length: count }, (_, i) => ({
    key: `key-${from + i}`,
    value: Buffer.alloc(VALUE_BYTES, from + i),
  }));
}

/** Records per second. The records are made beforehand, so that only the client is measured. */
async function produceAll(writer: Writer, records: number): Promise<number> {
  const batches: OutgoingRecord[][] = [];
  for (let from = 0; from < records; from += RECORDS_PER_SEND) {
    batches.push(batch(from, Math.min(RECORDS_PER_SEND, records - from)));
  }
  const begun = performance.now();
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let mine = batches[next++]; mine; mine = batches[next++]) await writer.send(mine);
  };
  await Promise.all(Array.from({ length: SENDS_IN_FLIGHT }, worker));
  return (records / (performance.now() - begun)) * 1000;
}

async function singleSends(writer: Writer): Promise<[p50: number, p99: number]> {
  const times: number[] = [];
  for (let i = 0; i < LATENCY_SENDS; i++) {
    const begun = performance.now();
    await writer.send(batch(i, 1));
    times.push(performance.now() - begun);
  }
  const sorted = times.toSorted((a, b) => a - b);
  return [quantile(sorted, 0.5), quantile(sorted, 0.99)];
}

function quantile(sorted: readonly number[], part: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
}

function guarded(client: KafkaClient): Subject {
  return {
    name: `guarded ${client.adapter}`,
    openWriter: async (topic) => {
      const producer = await client.producer();
      return {
        send: async (records) => {
          const results = await producer.send(topic, records);
          for (const result of results) if (!result.ok) throw result.error;
        },
        close: () => producer.close(),
      };
    },
    consume: (topic, count) =>
      new Promise((resolve, reject) => {
        let seen = 0;
        const consumer = client.consumer({
          groupId: `${topic}-group`,
          topics: [topic],
          onFatal: reject,
          handler: {
            assigned: async () => ({ kind: 'earliest' }),
            batch: async ({ records }) => {
              seen += records.length;
              if (seen >= count) setImmediate(() => void consumer.stop().then(resolve, reject));
            },
            revoked: async () => undefined,
          },
        });
        consumer.start().catch(reject);
      }),
    close: () => client.close(),
  };
}

function rawKafkaJs(brokers: readonly string[]): Subject {
  const kafka = new kafkajs.Kafka({ clientId: 'bench-raw', brokers: [...brokers], logLevel: kafkajs.logLevel.NOTHING });
  return {
    name: 'raw kafkajs',
    openWriter: async (topic) => {
      const producer = kafka.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner });
      await producer.connect();
      return {
        send: (records) =>
          producer.send({ topic, acks: -1, messages: records.map(({ key, value }) => ({ key, value })) }),
        close: () => producer.disconnect(),
      };
    },
    consume: async (topic, count) => {
      const consumer = kafka.consumer({ groupId: `${topic}-group`, maxWaitTimeInMs: 250 });
      await consumer.connect();
      await consumer.subscribe({ topic, fromBeginning: true });
      let seen = 0;
      await new Promise<void>((resolve, reject) => {
        consumer
          .run({
            autoCommit: false,
            partitionsConsumedConcurrently: PARTITIONS,
            eachBatch: async ({ batch: { messages } }) => {
              seen += messages.length;
              if (seen >= count) setImmediate(resolve);
            },
          })
          .catch(reject);
      });
      await consumer.disconnect();
    },
    close: () => Promise.resolve(),
  };
}

function rawPlatformatic(brokers: readonly string[]): Subject {
  const settings = { clientId: 'bench-raw', bootstrapBrokers: [...brokers] };
  return {
    name: 'raw platformatic',
    openWriter: async (topic) => {
      const producer = new Producer({ ...settings });
      return {
        send: (records) =>
          producer.send({
            acks: ProduceAcks.ALL,
            messages: records.map(({ key, value }) => ({
              topic,
              key: Buffer.from(key ?? ''),
              value: value ?? Buffer.alloc(0),
            })),
          }),
        close: () => producer.close(),
      };
    },
    consume: async (topic, count) => {
      const consumer = new Consumer({ ...settings, groupId: `${topic}-group`, autocommit: false });
      const stream = await consumer.consume({ topics: [topic], mode: 'earliest', maxWaitTime: 250 });
      let seen = 0;
      await new Promise<void>((resolve, reject) => {
        stream.on('data', () => {
          if (++seen >= count) resolve();
        });
        stream.on('error', reject);
      });
      await stream.close();
      await consumer.close(true);
    },
    close: () => Promise.resolve(),
  };
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      records: { type: 'string', default: '200000' },
      runs: { type: 'string', default: '3' },
      json: { type: 'boolean', default: false },
    },
  });
  const directory = await mkdtemp(join(tmpdir(), 'tracehound-bench-kafka-'));
  const stack = await openStack({ directory, kinds: ['kafka'], mode: 'native' });
  try {
    const rows = await runKafkaLane({
      brokers: stack.addresses.kafkaBrokers,
      records: Number(values.records),
      runs: Number(values.runs),
      onLine: (line) => process.stderr.write(`${line}\n`),
    });
    if (values.json) process.stdout.write(`${JSON.stringify(rows)}\n`);
    else {
      for (const { subject, measure, unit, median, min, max } of rows) {
        const digits = unit === 'records/s' ? 0 : 2;
        const [m, low, high] = [median, min, max].map((value) => value.toFixed(digits));
        process.stdout.write(`${subject.padEnd(22)} ${measure.padEnd(12)} ${m} ${unit} (${low} to ${high})\n`);
      }
    }
  } finally {
    await stack.stop({ wipe: true });
    await rm(directory, { recursive: true, force: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
