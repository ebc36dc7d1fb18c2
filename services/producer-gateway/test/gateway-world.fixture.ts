import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAvroCodec, createRegistry, type DecodedRecord, registerRecords } from '@tracehound/avro';
import { load } from '@tracehound/config';
import { topicSettings } from '@tracehound/event-model';
import { createKafkaJsClient, type KafkaClient, type KafkaRecord } from '@tracehound/kafka';
import { createLogger } from '@tracehound/telemetry';
import { waitFor } from '@tracehound/testkit';
import { WRITTEN_RECORDS } from '../src/adapters/avro-events.ts';
import { createApp, type GatewayApp } from '../src/app.ts';
import { gatewayConfigSpec } from '../src/config.ts';

/** Servers a world stands on; the shared ones of the run or those of a stack of its own. */
export type WorldServers = {
  readonly kafkaBrokers: readonly string[];
  readonly registryUrl: string;
  readonly redisEdgeUrl: string;
};

export type WrittenEvent = { readonly record: KafkaRecord; readonly decoded: DecodedRecord };

/** A namespace with topics, schemas, API keys and gateways on it. */
export type GatewayWorld = {
  readonly namespace: string;
  readonly kafka: KafkaClient;
  readonly keysFile: string;
  /** The environment a gateway of this world is started with. */
  env(changes?: Readonly<Record<string, string>>): Record<string, string>;
  start(changes?: Readonly<Record<string, string>>): Promise<GatewayApp>;
  /** Every event in the log of a topic, markers and all, by partition and offset. */
  events(topic?: 'security.events' | 'security.telemetry'): Promise<readonly WrittenEvent[]>;
  /** What the gateways logged, one JSON line each. */
  readonly log: readonly string[];
  close(): Promise<void>;
};

export const SECRET = 'a-secret-of-the-tests';

export function keyEntry(
  keyId: string,
  organizations: readonly string[] | 'platform',
  secret: string = SECRET,
): object {
  return { key_id: keyId, sha256: createHash('sha256').update(secret).digest('hex'), organizations, name: keyId };
}

export const ACME_KEY = `acme.${SECRET}`;
export const PLATFORM_KEY = `platform.${SECRET}`;

export async function openWorld(servers: WorldServers, namespace: string): Promise<GatewayWorld> {
  const directory = await mkdtemp(join(tmpdir(), 'gateway-test-'));
  const keysFile = join(directory, 'api-keys.json');
  await writeFile(keysFile, JSON.stringify([keyEntry('acme', ['acme']), keyEntry('platform', 'platform')]));
  const hashKeyFile = join(directory, 'ip-hash-key');
  await writeFile(hashKeyFile, 'k'.repeat(32));
  const kafka = createKafkaJsClient({ brokers: [...servers.kafkaBrokers], clientId: 'gateway-test' });
  const topics = topicSettings({ profile: 'local', namespace }).filter(({ topic }) =>
    [`${namespace}.security.events`, `${namespace}.security.telemetry`].includes(topic),
  );
  const admin = await kafka.admin();
  await admin.applyTopics(topics);
  await admin.close();
  const registry = createRegistry({ url: servers.registryUrl });
  await registerRecords(registry, WRITTEN_RECORDS);
  const codec = createAvroCodec({ registry });
  const log: string[] = [];
  const apps: GatewayApp[] = [];

  const world: GatewayWorld = {
    namespace,
    kafka,
    keysFile,
    log,
    env: (changes = {}) => ({
      TRACEHOUND_KAFKA_BROKERS: servers.kafkaBrokers.join(','),
      TRACEHOUND_REGISTRY_URL: servers.registryUrl,
      TRACEHOUND_REDIS_EDGE_URL: servers.redisEdgeUrl,
      TRACEHOUND_NAMESPACE: namespace,
      TRACEHOUND_GATEWAY_API_KEYS_FILE: keysFile,
      TRACEHOUND_GATEWAY_IP_HASH_KEY_FILE: hashKeyFile,
      // The look-up itself is what most tests are about, not its bound on a busy machine.
      TRACEHOUND_GATEWAY_DEDUP_TIMEOUT: '1s',
      ...changes,
    }),
    async start(changes) {
      const app = await createApp(load(gatewayConfigSpec, world.env(changes)), {
        logger: createLogger({ service: 'producer-gateway', level: 'debug', write: (line) => log.push(line) }),
        processMetrics: false,
        keyFilePollMs: 50,
      });
      apps.push(app);
      await app.start();
      return app;
    },
    async events(topic = 'security.events') {
      const name = `${namespace}.${topic}`;
      const events: WrittenEvent[] = [];
      for (const { topic: at, partitions } of topics) {
        if (at !== name) continue;
        for (let partition = 0; partition < partitions; partition++) {
          for await (const record of kafka.read({ topic: name, partition })) {
            if (record.value) events.push({ record, decoded: await codec.decode(record.value) });
          }
        }
      }
      return events;
    },
    async close() {
      for (const app of apps) await app.stop();
      await kafka.close();
      await rm(directory, { recursive: true });
    },
  };
  return world;
}

export function sharedServers(stack: WorldServers): WorldServers {
  return { kafkaBrokers: stack.kafkaBrokers, registryUrl: stack.registryUrl, redisEdgeUrl: stack.redisEdgeUrl };
}

export type Sent = { readonly status: number; readonly headers: Headers; readonly body: SentBody };
export type SentBody = {
  readonly accepted?: number;
  readonly duplicate?: number;
  readonly rejected?: number;
  readonly retry?: number;
  readonly code?: string;
  readonly field?: string;
  readonly detail?: string;
  readonly results?: readonly {
    readonly index: number;
    readonly event_id: string | null;
    readonly status: string;
    readonly code?: string;
    readonly field?: string;
    readonly dedup?: string;
    readonly topic?: string;
    readonly partition?: number;
    readonly offset?: string;
  }[];
};

export async function post(
  app: { readonly addresses: { readonly public: string } },
  body: string | Uint8Array<ArrayBuffer>,
  options: { readonly key?: string; readonly headers?: Readonly<Record<string, string>> } = {},
): Promise<Sent> {
  const answer = await fetch(`${app.addresses.public}/v1/events`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      authorization: `Bearer ${options.key ?? PLATFORM_KEY}`,
      ...options.headers,
    },
    body,
  });
  return { status: answer.status, headers: answer.headers, body: (await answer.json()) as SentBody };
}

export function postEvents(
  app: { readonly addresses: { readonly public: string } },
  events: object | readonly object[],
  options: { readonly key?: string; readonly headers?: Readonly<Record<string, string>> } = {},
): Promise<Sent> {
  return post(app, JSON.stringify(events), options);
}

export async function readiness(app: { readonly addresses: { readonly internal: string } }): Promise<{
  readonly status: number;
  readonly checks: readonly { readonly name: string; readonly ok: boolean; readonly detail: string }[];
}> {
  const answer = await fetch(`${app.addresses.internal}/health/ready`);
  const body = (await answer.json()) as { checks: [] };
  return { status: answer.status, checks: body.checks };
}

export function ready(app: { readonly addresses: { readonly internal: string } }): Promise<unknown> {
  return waitFor(async () => (await readiness(app)).status === 200, {
    timeoutMs: 30_000,
    what: 'the gateway to be ready',
  });
}

export async function metricsOf(app: {
  readonly addresses: { readonly internal: string };
}): Promise<ReadonlyMap<string, number>> {
  const text = await (await fetch(`${app.addresses.internal}/metrics`)).text();
  const values = new Map<string, number>();
  for (const line of text.split('\n')) {
    const space = line.lastIndexOf(' ');
    if (!line.startsWith('#') && space > 0) values.set(line.slice(0, space), Number(line.slice(space + 1)));
  }
  return values;
}

let made = 0;

/** A valid native event with an id of its own. */
export function anEvent(
  changes: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> & { event_id: string } {
  return {
    event_id: `0190163d-8694-739b-aea5-${(++made).toString(16).padStart(12, '0')}`,
    event_type: 'auth.login.failure',
    occurred_at: new Date().toISOString(),
    organization_id: 'acme',
    source: { platform: 'javascript' },
    actor: { type: 'user', id: 'u1' },
    network: { ip: '203.0.113.7' },
    ...changes,
  };
}
