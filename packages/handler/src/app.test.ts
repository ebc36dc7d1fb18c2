import { createMemoryRegistry, registerRecords } from '@tracehound/avro';
import { createMemoryKafka } from '@tracehound/kafka/memory';
import { createLogger } from '@tracehound/telemetry';
import { waitFor } from '@tracehound/testkit';
import { expect, it } from 'vitest';
import { createHandlerApp } from './app.ts';
import { loadHandlerConfig } from './config.ts';

it('is not ready while it may not read a topic, says which, and is ready again with the right', async () => {
  const kafka = createMemoryKafka({ now: Date.now });
  kafka.createTopics([{ topic: 'security.alerts', partitions: 1 }]);
  const registry = createMemoryRegistry();
  await registerRecords(registry);
  const app = createHandlerApp(
    { name: 'reader', topics: ['security.alerts'], handle: () => undefined },
    loadHandlerConfig({ TRACEHOUND_KAFKA_BROKERS: 'memory:1', TRACEHOUND_REGISTRY_URL: 'http://memory' }),
    { kafka: kafka.client(), registry, logger: createLogger({ service: 'reader', write: () => undefined }) },
  );
  await app.start();
  try {
    const ready = async () => {
      const answer = await fetch(`${app.addresses.internal}/health/ready`);
      return { isOk: answer.ok, text: await answer.text() };
    };
    await waitFor(async () => (await ready()).isOk, { what: 'the handler to be ready' });
    kafka.setRefused('topic', 'security.alerts', true);
    const refused = await waitFor(
      async () => {
        const answer = await ready();
        return !answer.isOk && answer;
      },
      { what: 'the handler not to be ready' },
    );
    expect(refused.text).toContain('security.alerts/0 may not be read (SEC_KAFKA_UNAUTHORIZED)');
    kafka.setRefused('topic', 'security.alerts', false);
    await waitFor(async () => (await ready()).isOk, { what: 'the handler to be ready again' });
  } finally {
    await app.stop();
  }
});
