import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TracehoundError, topicSettings } from '@tracehound/event-model';
import { createKafkaJsClient, type KafkaClient } from '@tracehound/kafka';
import { openStack, type Stack } from '@tracehound/stack';
import { waitFor } from '@tracehound/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { anEvent, type GatewayWorld, openWorld, postEvents, ready, sharedServers } from './gateway-world.fixture.ts';

const NAMESPACE = 'gw-isr';

let directory: string;
let stack: Stack;
let kafka: KafkaClient;
let world: GatewayWorld;

/** Three replicas, all of which must have a write: one broker less, and none is possible while the cluster lives. */
async function applyTopics(): Promise<void> {
  const admin = await kafka.admin();
  try {
    const topics = topicSettings({ profile: 'local', namespace: NAMESPACE }).filter(({ topic }) =>
      [`${NAMESPACE}.security.events`, `${NAMESPACE}.security.telemetry`].includes(topic),
    );
    await admin.applyTopics(
      topics.map((spec) => ({
        ...spec,
        replicationFactor: 3,
        config: { ...spec.config, 'min.insync.replicas': '3' },
      })),
    );
  } finally {
    await admin.close();
  }
}

/** The code of the error with which a write to each partition ends; null where it is acknowledged. */
async function writeCodes(): Promise<readonly (string | null)[]> {
  const producer = await kafka.producer();
  try {
    return await Promise.all(
      [0, 1, 2, 3].map((partition) =>
        producer
          .sendTo({ topic: `${NAMESPACE}.security.events`, partition }, [{ key: 'k', value: null }], {
            // Long enough for the broker's answer on a busy machine.
            timeoutMs: 5_000,
          })
          .then(
            () => null,
            (error: unknown) => (error instanceof TracehoundError ? error.code : String(error)),
          ),
      ),
    );
  } finally {
    await producer.close();
  }
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tracehound-gateway-isr-'));
  stack = await openStack({ directory, mode: 'native', brokers: 3, kinds: ['kafka', 'registry', 'redis-edge'] });
  kafka = createKafkaJsClient({ brokers: stack.addresses.kafkaBrokers, clientId: 'gateway-isr' });
  await applyTopics();
  world = await openWorld(sharedServers(stack.addresses), NAMESPACE);
  await applyTopics(); // The world has asked for less.
}, 180_000);

afterAll(async () => {
  await world?.close();
  await kafka?.close();
  await stack?.stop({ wipe: true });
  await rm(directory, { recursive: true, force: true });
});

describe('min-isr-lost', () => {
  test('min-isr-lost: 503 with Retry-After while too few replicas live, nothing acknowledged is lost, 200 afterwards', {
    timeout: 240_000,
  }, async () => {
    const app = await world.start({ TRACEHOUND_GATEWAY_PRODUCE_TIMEOUT: '1s' });
    await ready(app);
    const acknowledged = new Set<string>();
    const send = async (event: { event_id: string }) => {
      const answer = await postEvents(app, event);
      const status = answer.body.results?.[0]?.status;
      if (status === 'accepted' || status === 'duplicate') acknowledged.add(event.event_id);
      return answer;
    };
    for (let i = 0; i < 20; i++) expect((await send(anEvent())).status).toBe(200);
    await stack.part('kafka-3').kill('SIGKILL');
    // At first a leader is missing; then there is one everywhere, and it has too few replicas.
    await waitFor(async () => (await writeCodes()).every((code) => code === 'SEC_KAFKA_NOT_ENOUGH_REPLICAS'), {
      what: 'every partition to have too few replicas',
      timeoutMs: 120_000,
    });
    const waiting = anEvent();
    const refused = await send(waiting);
    expect(refused.status).toBe(503);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    await stack.part('kafka-3').restart();
    await waitFor(async () => (await send(waiting)).status === 200, {
      what: 'the event to be taken',
      timeoutMs: 60_000,
    });
    const keys = (await world.events()).map(({ record }) => record.key?.toString());
    expect(acknowledged.size).toBeGreaterThan(20);
    expect(acknowledged).toContain(waiting.event_id);
    for (const eventId of acknowledged) expect(keys).toContain(`acme|${eventId}`);
    await app.stop();
  });
});
