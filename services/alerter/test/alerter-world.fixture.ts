import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type AvroCodec, createAvroCodec, createRegistry, registerRecords } from '@tracehound/avro';
import {
  type CorrelationAlertInput,
  namespacedTopic,
  RECORD_NAMES,
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
import { createPool, migrate, type Pool } from '@tracehound/postgres';
import { loadRuleSet } from '@tracehound/sigma';
import { createLogger } from '@tracehound/telemetry';
import { replicated, testStack, waitFor } from '@tracehound/testkit';
import { type AlerterApp, createApp } from '../src/app.ts';
import { loadConfig } from '../src/config.ts';
import type { LogPosition } from '../src/ports.ts';
import { insertAuditRow, setSinkPosition } from './audit-rows.fixture.ts';
import { type ReceiverDouble, receiverDouble, SECRET } from './receiver.fixture.ts';

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url));
export const MIGRATIONS: URL = new URL('../../../deploy/migrations/', import.meta.url);
export const TOKEN = 'test-token-of-forty-characters-for-acme-';

export type SentAlert = {
  readonly position: LogPosition;
  readonly alert: CorrelationAlertInput;
  readonly value: Buffer;
  readonly appendTimeMs: number | null;
};

/** A namespace of its own on the real servers, with a receiver, and an audit store that the test fills like the sink. */
export type AlerterWorld = {
  readonly namespace: string;
  readonly pool: Pool;
  readonly databaseUrl: string;
  readonly receiver: ReceiverDouble;
  /** In this process; `write` gets its log. */
  app(overrides?: Readonly<Record<string, string>>, write?: (line: string) => void): Promise<AlerterApp>;
  spawn(overrides?: Readonly<Record<string, string>>): ChildProcess;
  /** Produces alerts; they are not audited yet. */
  send(alerts: readonly CorrelationAlertInput[]): Promise<readonly SentAlert[]>;
  /** What the sink does: rows of the alerts and of their events, then its position. */
  audit(
    sent: readonly SentAlert[],
    options?: { readonly organization?: string; readonly withRow?: boolean },
  ): Promise<void>;
  sendAudited(alerts: readonly CorrelationAlertInput[]): Promise<readonly SentAlert[]>;
  /** A rule set on its topic, as the command line writes it; returns its id. */
  publishRules(content: string): Promise<string>;
  /** A value to `security.alerts` as it is. */
  sendRaw(value: Buffer): Promise<void>;
  decoded(name: TopicName): Promise<readonly Readonly<Record<string, unknown>>[]>;
  /** Waits until the alerter has stored the alerts and nothing is parked, due or unpublished. */
  settled(timeoutMs?: number): Promise<void>;
  count(sql: string, values?: readonly unknown[]): Promise<number>;
  close(): Promise<void>;
};

type WorldOptions = {
  readonly environment?: NodeJS.ProcessEnv;
  readonly inSyncOfThree?: (topic: string) => number;
};

/** A world for this work alone. */
export async function inWorld(work: (world: AlerterWorld) => Promise<void>, options: WorldOptions = {}): Promise<void> {
  const world = await alerterWorld(options);
  try {
    await work(world);
  } finally {
    await world.close();
  }
}

/** Arrivals that tell of an alert. */
export function toldOf(world: AlerterWorld, alertId: string): AlerterWorld['receiver']['arrivals'] {
  return world.receiver.arrivals.filter((arrival) => arrival.body.data['alert_id'] === alertId);
}

/**
 * `environment` names servers of the test's own, when it disturbs them. `inSyncOfThree`: replicas that a write to a topic
 * needs, on three brokers; by default topics have one.
 */
export async function alerterWorld(options: WorldOptions = {}): Promise<AlerterWorld> {
  const stack = await testStack(options.environment);
  const namespace = stack.namespace();
  const databaseUrl = await stack.database();
  await migrate(databaseUrl, MIGRATIONS);
  const pool = createPool(databaseUrl, { applicationName: 'alerter-test', connectionsMax: 4 });
  const kafka = createKafkaJsClient({ brokers: stack.kafkaBrokers, clientId: 'alerter-test' });
  const admin = await kafka.admin();
  const settings = topicSettings({ profile: 'local', namespace }).filter(({ topic }) =>
    /alert|findings|deliveries|detection\.rules$/.test(topic),
  );
  await admin.applyTopics(options.inSyncOfThree ? replicated(settings, options.inSyncOfThree) : settings);
  const registry = createRegistry({ url: stack.registryUrl });
  await registerRecords(registry);
  const codec = createAvroCodec({ registry });
  await codec.prepare(RECORD_NAMES);
  const producer = await kafka.producer();
  const receiver = await receiverDouble();
  const directory = mkdtempSync(join(tmpdir(), 'tracehound-alerter-'));
  const env = environment({ namespace, databaseUrl, directory, receiver, stack });
  const apps: AlerterApp[] = [];
  const children: ChildProcess[] = [];
  const topic = (name: TopicName): string => namespacedTopic(namespace, name);
  const topicId = (await admin.topicIds([topic('security.alerts')])).get(topic('security.alerts')) ?? '';

  const world: AlerterWorld = {
    namespace,
    pool,
    databaseUrl,
    receiver,
    async app(overrides = {}, write) {
      const config = loadConfig({ ...env, ...overrides });
      const app = createApp(config, {
        logger: createLogger({ service: 'alerter', level: config.logLevel, ...(write && { write }) }),
        write: () => undefined,
      });
      apps.push(app);
      await app.start();
      return app;
    },
    spawn(overrides = {}) {
      const child = spawn(process.execPath, ['--conditions=@tracehound/source', MAIN], {
        env: { PATH: process.env['PATH'], ...env, ...overrides },
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      child.stderr.on('data', (chunk: Buffer) => process.stderr.write(chunk));
      children.push(child);
      return child;
    },
    send: (alerts) => produce({ producer, codec, topic: topic('security.alerts'), topicId }, alerts),
    audit: (sent, options = {}) => auditAlerts(pool, sent, options),
    async sendAudited(alerts) {
      const sent = await world.send(alerts);
      await world.audit(sent);
      return sent;
    },
    async publishRules(content) {
      const { rulesetId, files } = loadRuleSet([{ path: 'set.yml', content }]);
      const set = { schema_rev: 1, ruleset_id: rulesetId, files: [...files], created_at: 0, principal: 'test' };
      const value = codec.encode('tracehound.pipeline.v1.RuleSet', set);
      const [result] = await producer.send(topic('detection.rules'), [{ key: rulesetId, value }]);
      if (result?.ok !== true) throw new Error('the rule set was not acknowledged');
      return rulesetId;
    },
    async sendRaw(value) {
      const [result] = await producer.send(topic('security.alerts'), [{ key: 'acme|raw', value }]);
      if (result?.ok !== true) throw new Error('the record was not acknowledged');
    },
    async decoded(name) {
      const records = await allRecords(kafka, admin, topic(name));
      return Promise.all(
        records.map(
          async ({ value }) =>
            (await codec.decode(value ?? Buffer.alloc(0))).value as Readonly<Record<string, unknown>>,
        ),
      );
    },
    async settled(timeoutMs = 20_000) {
      const highs = await admin.offsets(topic('security.alerts'));
      await waitFor(
        async () => {
          for (const { partition, high } of highs) {
            const stored = await world.count(
              `SELECT count(*) FROM alerting.consumed_offset WHERE topic_id = $1 AND kafka_partition = $2 AND next_offset >= $3`,
              [topicId, partition, high],
            );
            if (high > 0n && stored === 0) return false;
          }
          const open = await world.count(
            `SELECT (SELECT count(*) FROM alerting.parked) + (SELECT count(*) FROM alerting.record_outbox)
             + (SELECT count(*) FROM alerting.outbox WHERE state IN ('pending', 'sending', 'failed'))`,
          );
          return open === 0;
        },
        { what: 'the alerter to have nothing left to do', timeoutMs },
      );
    },
    async count(sql, values = []) {
      const { rows } = await pool.query<Record<string, unknown>>(sql, [...values]);
      return Number(Object.values(rows[0] ?? {})[0] ?? 0);
    },
    async close() {
      await Promise.all(apps.map((app) => app.stop()));
      for (const child of children) if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
      await receiver.close();
      await producer.close();
      await admin.close();
      await kafka.close();
      await pool.end();
      rmSync(directory, { recursive: true });
    },
  };
  return world;
}

/** How a child ended: its signal, or its exit code. */
export async function ended(child: ChildProcess): Promise<string> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  return child.signalCode ?? String(child.exitCode);
}

function environment(of: {
  readonly namespace: string;
  readonly databaseUrl: string;
  readonly directory: string;
  readonly receiver: ReceiverDouble;
  readonly stack: { readonly kafkaBrokers: readonly string[]; readonly registryUrl: string };
}): Readonly<Record<string, string>> {
  const file = (name: string, content: string): string => {
    writeFileSync(join(of.directory, name), content);
    return join(of.directory, name);
  };
  const secret = file('secret', SECRET);
  return {
    TRACEHOUND_KAFKA_BROKERS: of.stack.kafkaBrokers.join(','),
    TRACEHOUND_REGISTRY_URL: of.stack.registryUrl,
    TRACEHOUND_POSTGRES_URL: of.databaseUrl,
    TRACEHOUND_NAMESPACE: of.namespace,
    TRACEHOUND_LOG_LEVEL: process.env['ALERTER_TEST_LOG'] ?? 'error',
    TRACEHOUND_ALERTER_MIGRATE: 'false',
    TRACEHOUND_ALERTER_SESSION_TIMEOUT: '6s',
    TRACEHOUND_ALERTER_LEASE: '1500ms',
    TRACEHOUND_ALERTER_RETRY_SCHEDULE: '50,100,200',
    TRACEHOUND_ALERTER_LINK_BASE: 'https://alerts.example',
    TRACEHOUND_ALERTER_TOKENS_FILE: file('tokens', JSON.stringify([{ token: TOKEN, organizations: ['acme'] }])),
    TRACEHOUND_ALERTER_RECEIVERS_FILE: file(
      'receivers',
      JSON.stringify({
        receivers: { hook: { webhook: of.receiver.url, secret_files: [secret], timeout_ms: 1_000 } },
        routes: { default: [{ receivers: ['hook'] }, { receivers: ['hook'], audience: 'operator' }] },
      }),
    ),
  };
}

async function produce(
  to: { readonly producer: KafkaProducer; readonly codec: AvroCodec; readonly topic: string; readonly topicId: string },
  alerts: readonly CorrelationAlertInput[],
): Promise<readonly SentAlert[]> {
  const values = alerts.map((alert) => to.codec.encode('tracehound.pipeline.v1.CorrelationAlert', alert));
  const results = await to.producer.send(
    to.topic,
    alerts.map((alert, index) => ({ key: `${alert.organization_id}|${alert.alert_id}`, value: values[index] ?? null })),
  );
  return results.map((result, index): SentAlert => {
    if (!result.ok) throw result.error;
    const { partition, offset, appendTimeMs } = result.record;
    return {
      position: { topicId: to.topicId, topic: 'security.alerts', partition, offset },
      alert: alerts[index] as CorrelationAlertInput, // One result per record, in order.
      value: values[index] as Buffer,
      appendTimeMs,
    };
  });
}

async function auditAlerts(
  pool: Pool,
  sent: readonly SentAlert[],
  options: { readonly organization?: string; readonly withRow?: boolean },
): Promise<void> {
  for (const { position, alert, value } of sent) {
    const organization = options.organization ?? alert.organization_id;
    if (options.withRow !== false) {
      for (const [index, id] of (alert.event_ids ?? []).entries()) {
        await insertAuditRow(pool, {
          kind: 'event',
          organization: alert.organization_id,
          key: id,
          eventId: id,
          atMs: alert.first_at + index,
        });
      }
      await insertAuditRow(pool, {
        kind: 'alert',
        organization,
        key: `${alert.alert_id}/${alert.revision}`,
        position,
        payload: value,
        atMs: alert.last_at,
        alertId: alert.alert_id,
      });
    }
    await setSinkPosition(pool, { ...position, offset: position.offset + 1n });
  }
}

async function allRecords(kafka: KafkaClient, admin: KafkaAdmin, topic: string): Promise<readonly KafkaRecord[]> {
  const found: KafkaRecord[] = [];
  for (const { partition } of await admin.offsets(topic)) {
    for await (const record of kafka.read({ topic, partition })) found.push(record);
  }
  return found;
}
