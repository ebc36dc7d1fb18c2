/**
 * Fault case `broker-leader-kill`: a partition leader dies by SIGKILL while records are produced, and no acknowledged
 * record may be missing afterwards. Our producers over both libraries run side by side in the same rounds; kafkajs as it
 * comes runs beside them for the record, because its loss is why the guard exists (tulios/kafkajs#1303).
 *
 *   node --conditions=@tracehound/source packages/kafka/chaos/leader-kill.ts [--rounds 20] [--seconds 8]
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Admin } from '@platformatic/kafka';
import { openStack, type PartName, type Stack } from '@tracehound/stack';
import kafkajs from 'kafkajs';
import {
  createKafkaJsClient,
  createPlatformaticClient,
  type KafkaClient,
  type KafkaProducer,
  type OutgoingRecord,
  type TopicPartition,
} from '../src/index.ts';

const PARTITIONS = 6;
const RECORDS_PER_SEND = 50;
/** Calls on their way at once, per producer under test. */
const SENDS_IN_FLIGHT = 6;
const MIN_ISR = { 'min.insync.replicas': '2', 'message.timestamp.type': 'LogAppendTime' };

/** What one producer lived through, over all rounds so far. */
export type LeaderKillCount = {
  readonly name: string;
  sent: number;
  acknowledged: number;
  /** Answered with an error: may be in the log or not, and the sender knows. */
  refused: number;
  /** Acknowledged and not in the log. Must be 0. */
  lost: number;
  /** Acknowledged at an offset that holds something else. Must be 0; -1 where the client names no offset per record. */
  misplaced: number;
  /** In the log more than once: allowed (X6), shown. */
  duplicated: number;
  /** Longest time one call took: the gap of the fail-over as a sender sees it. */
  slowestMs: number;
};

export type LeaderKillReport = { readonly rounds: number; readonly counts: readonly LeaderKillCount[] };

type Acknowledged = Map<string, { partition: number; offset: bigint } | null>;

/** One producer under test: sends records and says which were acknowledged, and where. */
type Subject = {
  readonly count: LeaderKillCount;
  readonly topic: string;
  send(
    records: readonly OutgoingRecord[],
  ): Promise<readonly ({ at: { partition: number; offset: bigint } | null } | null)[]>;
  close(): Promise<void>;
};

/** Runs all rounds on a cluster of its own, three brokers, replication 3, min ISR 2. */
export async function runLeaderKill(options: {
  readonly rounds: number;
  /** How long records are sent in each round; the kill comes after a fifth of it. */
  readonly secondsPerRound: number;
  readonly withRawKafkaJs: boolean;
  readonly onLine: (line: string) => void;
}): Promise<LeaderKillReport> {
  const directory = await mkdtemp(join(tmpdir(), 'tracehound-leader-kill-'));
  const stack = await openStack({ directory, brokers: 3, kinds: ['kafka'], mode: 'native' });
  const brokers = stack.addresses.kafkaBrokers;
  const admin = new Admin({ clientId: 'leader-kill', bootstrapBrokers: [...brokers], retries: 10, retryDelay: 300 });
  const reader = createKafkaJsClient({ brokers, clientId: 'leader-kill-reader' });
  try {
    const counts = new Map<string, LeaderKillCount>();
    for (let round = 1; round <= options.rounds; round++) {
      const subjects = await openSubjects({ brokers, round, counts, reader, withRaw: options.withRawKafkaJs });
      try {
        const topics = subjects.map((subject) => subject.topic);
        await waitForReplicas(admin, topics);
        const victim = await leaderOf(admin, topics[0] as string, round % PARTITIONS);
        const sending = Promise.all(subjects.map((subject) => produceFor(subject, options.secondsPerRound * 1000)));
        await sleep(options.secondsPerRound * 200);
        await stack.part(victim).kill('SIGKILL');
        const acknowledged = await sending;
        for (const [i, subject] of subjects.entries()) {
          await countLosses(reader, subject, acknowledged[i] as Acknowledged);
        }
        await restart(stack, victim);
        await waitForReplicas(admin, topics);
        for (const { count } of subjects) options.onLine(`round ${round} (killed ${victim}): ${describeCount(count)}`);
      } finally {
        await Promise.all(subjects.map((subject) => subject.close()));
      }
    }
    return { rounds: options.rounds, counts: [...counts.values()] };
  } finally {
    await reader.close();
    await admin.close();
    await stack.stop({ wipe: true });
    await rm(directory, { recursive: true, force: true });
  }
}

export function describeCount(count: LeaderKillCount): string {
  return (
    `${count.name}: sent ${count.sent}, acknowledged ${count.acknowledged}, refused ${count.refused}, ` +
    `lost ${count.lost}, misplaced ${count.misplaced < 0 ? 'unknown' : count.misplaced}, ` +
    `duplicated ${count.duplicated}, slowest call ${count.slowestMs} ms`
  );
}

async function openSubjects(options: {
  readonly brokers: readonly string[];
  readonly round: number;
  readonly counts: Map<string, LeaderKillCount>;
  readonly reader: KafkaClient;
  readonly withRaw: boolean;
}): Promise<Subject[]> {
  const { brokers, round } = options;
  const countOf = (name: string): LeaderKillCount => {
    const known = options.counts.get(name);
    if (known) return known;
    const count = { name, sent: 0, acknowledged: 0, refused: 0, lost: 0, misplaced: 0, duplicated: 0, slowestMs: 0 };
    options.counts.set(name, count);
    return count;
  };
  const topics = ['kafkajs', 'platformatic', 'raw'].map((name) => `leader-kill.${name}.${round}`);
  const admin = await options.reader.admin();
  await admin.applyTopics(
    topics.map((topic) => ({ topic, partitions: PARTITIONS, replicationFactor: 3, config: MIN_ISR })),
  );
  await admin.close();
  const [ofKafkaJs, ofPlatformatic, ofRaw] = topics as [string, string, string];
  const clients = [
    { client: createKafkaJsClient({ brokers, clientId: 'guarded-kafkajs' }), topic: ofKafkaJs },
    { client: createPlatformaticClient({ brokers, clientId: 'guarded-platformatic' }), topic: ofPlatformatic },
  ];
  const subjects: Subject[] = [];
  for (const { client, topic } of clients) {
    const producer = await client.producer();
    subjects.push({
      count: countOf(`guarded ${client.adapter}`),
      topic,
      send: (records) => sendGuarded(producer, topic, records),
      close: async () => {
        await producer.close();
        await client.close();
      },
    });
  }
  if (options.withRaw) subjects.push(await openRawKafkaJs(brokers, ofRaw, countOf('raw kafkajs')));
  return subjects;
}

async function sendGuarded(
  producer: KafkaProducer,
  topic: string,
  records: readonly OutgoingRecord[],
): Promise<readonly ({ at: { partition: number; offset: bigint } } | null)[]> {
  const results = await producer.send(topic, records);
  return results.map((result) =>
    result.ok ? { at: { partition: result.record.partition, offset: result.record.offset } } : null,
  );
}

/** kafkajs as documented: one `send` over all partitions, acks -1, its own retries. */
async function openRawKafkaJs(brokers: readonly string[], topic: string, count: LeaderKillCount): Promise<Subject> {
  count.misplaced = -1;
  const kafka = new kafkajs.Kafka({
    clientId: 'raw-kafkajs',
    brokers: [...brokers],
    logLevel: kafkajs.logLevel.NOTHING,
  });
  const producer = kafka.producer({
    allowAutoTopicCreation: false,
    createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
  });
  await producer.connect();
  return {
    count,
    topic,
    send: async (records) => {
      try {
        await producer.send({ topic, acks: -1, messages: records.map(({ key, value }) => ({ key, value })) });
        return records.map(() => ({ at: null }));
      } catch {
        return records.map(() => null);
      }
    },
    close: () => producer.disconnect(),
  };
}

async function produceFor(subject: Subject, durationMs: number): Promise<Acknowledged> {
  const { count } = subject;
  const acknowledged: Acknowledged = new Map();
  const endMs = Date.now() + durationMs;
  let serial = 0;
  const send = async (): Promise<void> => {
    while (Date.now() < endMs) {
      const records = Array.from({ length: RECORDS_PER_SEND }, () => {
        const id = `id-${serial++}`;
        return { key: id, value: Buffer.from(id) };
      });
      const begunMs = Date.now();
      const answers = await subject.send(records);
      count.slowestMs = Math.max(count.slowestMs, Date.now() - begunMs);
      count.sent += records.length;
      records.forEach(({ key }, i) => {
        const answer = answers[i];
        if (!answer) {
          count.refused++;
          return;
        }
        count.acknowledged++;
        acknowledged.set(key, answer.at);
      });
      // Some hundred calls a second are enough; what matters is that calls are under way when the leader dies.
      await sleep(5);
    }
  };
  await Promise.all(Array.from({ length: SENDS_IN_FLIGHT }, send));
  return acknowledged;
}

async function countLosses(reader: KafkaClient, subject: Subject, acknowledged: Acknowledged): Promise<void> {
  const { count, topic } = subject;
  const found = new Map<string, number>();
  const atOffset = new Map<string, string>();
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const at: TopicPartition = { topic, partition };
    for await (const record of reader.read(at)) {
      const id = String(record.value);
      found.set(id, (found.get(id) ?? 0) + 1);
      atOffset.set(`${partition}/${record.offset}`, id);
    }
  }
  for (const [id, at] of acknowledged) {
    if (!found.has(id)) count.lost++;
    if (at && atOffset.get(`${at.partition}/${at.offset}`) !== id) count.misplaced++;
  }
  for (const copies of found.values()) if (copies > 1) count.duplicated += copies - 1;
}

async function leaderOf(admin: Admin, topic: string, partition: number): Promise<PartName> {
  const metadata = await admin.metadata({ topics: [topic], forceUpdate: true });
  return partName(metadata.topics.get(topic)?.partitions[partition]?.leader);
}

function partName(node: number | undefined): PartName {
  switch (node) {
    case 1:
      return 'kafka-1';
    case 2:
      return 'kafka-2';
    case 3:
      return 'kafka-3';
    default:
      throw new Error(`no broker has the number ${node}`);
  }
}

/** All partitions have three replicas in sync, so that the next kill leaves two. */
async function waitForReplicas(admin: Admin, topics: readonly string[]): Promise<void> {
  for (let tries = 0; tries < 300; tries++) {
    const metadata = await admin.metadata({ topics: [...topics], forceUpdate: true }).catch(() => null);
    const partitions = topics.flatMap((topic) => metadata?.topics.get(topic)?.partitions ?? []);
    if (partitions.length === topics.length * PARTITIONS && partitions.every(({ isr }) => isr.length === 3)) return;
    await sleep(200);
  }
  throw new Error('the replicas did not come into sync within 60 s');
}

async function restart(stack: Stack, victim: PartName): Promise<void> {
  await stack.part(victim).restart();
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '20' },
      seconds: { type: 'string', default: '8' },
      json: { type: 'boolean', default: false },
    },
  });
  const report = await runLeaderKill({
    rounds: Number(values.rounds),
    secondsPerRound: Number(values.seconds),
    withRawKafkaJs: true,
    onLine: (line) => process.stderr.write(`${line}\n`),
  });
  if (values.json) process.stdout.write(`${JSON.stringify(report)}\n`);
  else for (const count of report.counts) process.stdout.write(`${report.rounds} rounds, ${describeCount(count)}\n`);
  const guarded = report.counts.filter(({ name }) => name.startsWith('guarded'));
  const failed = guarded.filter((count) => count.lost > 0 || count.misplaced > 0 || count.acknowledged === 0);
  process.exitCode = failed.length === 0 ? 0 : 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
