import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { type AvroCodec, createAvroCodec, createRegistry, registerRecords } from '@tracehound/avro';
import {
  namespacedTopic,
  RECORD_NAMES,
  type SourceTopicName,
  type TopicName,
  topicSettings,
} from '@tracehound/event-model';
import {
  createKafkaJsClient,
  type KafkaAdmin,
  type KafkaClient,
  type KafkaProducer,
  type KafkaRecord,
} from '@tracehound/kafka';
import { createLogger } from '@tracehound/telemetry';
import { replicated, testStack, waitFor } from '@tracehound/testkit';
import { createApp, type SinkApp } from '../src/app.ts';
import { loadSinkConfig, type SinkConfig } from '../src/config.ts';
import { INTAKE_TOPICS } from '../src/domain/intake-topics.ts';
import { type AuthenticationInput, loginFailure } from './event.fixture.ts';
import { type TestDatabase, testDatabase } from './test-database.fixture.ts';

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url));

/** A namespace of its own on the real servers: topics, database, and ways to send, to run sinks and to look. */
export type SinkWorld = {
  readonly namespace: string;
  readonly database: TestDatabase;
  readonly kafka: KafkaClient;
  readonly admin: KafkaAdmin;
  readonly codec: AvroCodec;
  readonly producer: KafkaProducer;
  readonly env: Readonly<Record<string, string>>;
  topic(name: TopicName): string;
  config(overrides?: Readonly<Record<string, string>>): SinkConfig;
  /** An app in this process, started; stopped at `close` at the latest. `write` gets its log. */
  app(overrides?: Readonly<Record<string, string>>, write?: (line: string) => void): Promise<SinkApp>;
  /** A sink in a process of its own. */
  spawn(overrides?: Readonly<Record<string, string>>): ChildProcess;
  /** Sends events keyed as the gateway does; resolves when all are acknowledged. */
  send(events: readonly AuthenticationInput[]): Promise<void>;
  sendRaw(
    name: SourceTopicName,
    record: { key: string | null; value: Buffer | null; headers?: Record<string, string> },
  ): Promise<void>;
  /** All records of a topic, partition by partition. */
  records(name: TopicName): Promise<readonly KafkaRecord[]>;
  /** Waits until every record of the intake topics is below the stored offset. */
  caughtUp(timeoutMs?: number): Promise<void>;
  close(): Promise<void>;
};

/**
 * `postgresUrl` names a server of the test's own, when the test stops it; `environment` names all of them. `inSyncOfThree`:
 * replicas that a write to a topic needs, on three brokers; by default topics have one.
 */
export async function sinkWorld(
  options: { postgresUrl?: string; environment?: NodeJS.ProcessEnv; inSyncOfThree?: (topic: string) => number } = {},
): Promise<SinkWorld> {
  const stack = await testStack(options.environment);
  const namespace = stack.namespace();
  const database = await testDatabase(options.postgresUrl ?? options.environment?.['TRACEHOUND_POSTGRES_URL']);
  const kafka = createKafkaJsClient({ brokers: stack.kafkaBrokers, clientId: 'sink-test' });
  const admin = await kafka.admin();
  const topics = topicSettings({ profile: 'local', namespace });
  await admin.applyTopics(options.inSyncOfThree ? replicated(topics, options.inSyncOfThree) : topics);
  const registry = createRegistry({ url: stack.registryUrl });
  await registerRecords(registry);
  const codec = createAvroCodec({ registry });
  await codec.prepare(RECORD_NAMES);
  const producer = await kafka.producer();
  const apps: SinkApp[] = [];
  const children: ChildProcess[] = [];
  const env = {
    TRACEHOUND_KAFKA_BROKERS: stack.kafkaBrokers.join(','),
    TRACEHOUND_REGISTRY_URL: stack.registryUrl,
    TRACEHOUND_POSTGRES_URL: database.url,
    TRACEHOUND_NAMESPACE: namespace,
    TRACEHOUND_LOG_LEVEL: process.env['SINK_TEST_LOG'] ?? 'error',
    TRACEHOUND_SINK_MIGRATE: 'false', // `testDatabase` has done it.
    TRACEHOUND_SINK_SESSION_TIMEOUT: '6s',
    TRACEHOUND_SINK_REACQUIRE_DELAY: '200ms',
  };

  const world: SinkWorld = {
    namespace,
    database,
    kafka,
    admin,
    codec,
    producer,
    env,
    topic: (name) => namespacedTopic(namespace, name),
    config: (overrides = {}) => loadSinkConfig({ ...env, ...overrides }),
    async app(overrides = {}, write) {
      const config = world.config(overrides);
      const app = createApp(config, {
        logger: createLogger({ service: 'sink-audit', level: config.logLevel, ...(write && { write }) }),
      });
      apps.push(app);
      await app.start();
      return app;
    },
    spawn(overrides = {}) {
      const child = spawn(process.execPath, ['--conditions=@tracehound/source', MAIN], {
        env: { PATH: process.env['PATH'], ...env, ...overrides },
        stdio: ['ignore', 'inherit', 'pipe'],
      });
      child.stderr.on('data', (chunk: Buffer) => process.stderr.write(chunk));
      children.push(child);
      return child;
    },
    async send(events) {
      const records = events.map((event) => ({
        key: `${event.envelope.intake_org}|${event.envelope.event_id}`,
        value: codec.encode('tracehound.events.v1.AuthenticationEvent', event),
      }));
      const results = await producer.send(world.topic('security.events'), records);
      const failed = results.find((result) => !result.ok);
      if (failed && !failed.ok) throw failed.error;
    },
    async sendRaw(name, record) {
      const [result] = await producer.send(world.topic(name), [record]);
      if (result?.ok !== true) throw new Error('the record was not acknowledged');
    },
    async records(name) {
      const found: KafkaRecord[] = [];
      const topic = world.topic(name);
      for (const { partition } of await admin.offsets(topic)) {
        for await (const record of kafka.read({ topic, partition })) found.push(record);
      }
      return found;
    },
    async caughtUp(timeoutMs = 30_000) {
      const highs = new Map<string, bigint>();
      for (const name of INTAKE_TOPICS) {
        for (const { partition, high } of await admin.offsets(world.topic(name)))
          highs.set(`${name}/${partition}`, high);
      }
      await waitFor(
        async () => {
          const { rows } = await database.admin.query<{ at: string; next_offset: bigint }>(
            `SELECT topic || '/' || kafka_partition AS at, next_offset FROM audit.sink_offset o
             WHERE updated_at = (SELECT max(updated_at) FROM audit.sink_offset l
               WHERE l.topic = o.topic AND l.kafka_partition = o.kafka_partition)`,
          );
          const stored = new Map(rows.map((row) => [row.at, row.next_offset]));
          return [...highs].every(([at, high]) => high === 0n || (stored.get(at) ?? 0n) >= high);
        },
        { what: 'the store to reach the end of all intake topics', timeoutMs },
      );
    },
    async close() {
      await Promise.all(apps.map((app) => app.stop()));
      for (const child of children) if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
      await producer.close();
      await admin.close();
      await kafka.close();
      await database.close();
    },
  };
  return world;
}

/** `count` failed logins with ids of their own. */
export function logins(count: number): AuthenticationInput[] {
  return Array.from({ length: count }, (_, index) => loginFailure({}, { n: String(index) }));
}

/** How a child ended: its signal, or its exit code. */
export async function ended(child: ChildProcess): Promise<string> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  return child.signalCode ?? String(child.exitCode);
}
