import { createMemoryRegistry, createRegistry } from '@tracehound/avro';
import { RECORD_NAMES, TOPIC_NAMES, topicSettings } from '@tracehound/event-model';
import { createKafkaJsClient } from '@tracehound/kafka';
import { testStack } from '@tracehound/testkit';
import { describe, expect, test } from 'vitest';
import { runSchemasApply, runSchemasCheck, runSchemasList } from '../src/commands/schemas.ts';
import { runTopicsApply, runTopicsList } from '../src/commands/topics.ts';

function capture() {
  const lines: string[] = [];
  return { lines, terminal: { out: (text: string) => void lines.push(text) } };
}

describe('topics', () => {
  test('apply makes every topic as declared, a second time changes nothing, and list agrees', async () => {
    const stack = await testStack();
    const namespace = stack.namespace();
    const kafka = createKafkaJsClient({ brokers: stack.kafkaBrokers, clientId: 'topics-test' });
    const { lines, terminal } = capture();
    const command = { kafka, namespace, profile: 'local', format: 'json', terminal } as const;
    const admin = await kafka.admin();
    try {
      expect(await runTopicsList(command)).toBe(1);
      expect(await runTopicsApply(command)).toBe(0);
      expect(await runTopicsApply(command)).toBe(0);
      expect(await runTopicsList(command)).toBe(0);
      const [before, first, second, after] = lines.map(
        (line) => JSON.parse(line) as { action: string; present: boolean }[],
      );
      expect(before?.every((row) => !row.present)).toBe(true);
      expect(first?.map((row) => row.action)).toEqual(TOPIC_NAMES.map(() => 'created'));
      expect(second?.map((row) => row.action)).toEqual(TOPIC_NAMES.map(() => 'unchanged'));
      expect(after?.every((row) => row.present)).toBe(true);
      for (const settings of topicSettings({ profile: 'local', namespace })) {
        expect(await admin.partitionCount(settings.topic)).toBe(settings.partitions);
      }
      // The broker stamps the append time, whatever the producer says (X1).
      const producer = await kafka.producer();
      const topic = `${namespace}.security.telemetry`;
      const { appendTimeMs } = await producer.sendTo({ topic, partition: 0 }, [{ key: 'k', value: Buffer.from('v') }]);
      expect(Math.abs((appendTimeMs ?? 0) - Date.now())).toBeLessThan(60_000);
      await producer.close();
    } finally {
      await admin.deleteTopics(topicSettings({ profile: 'local', namespace }).map((settings) => settings.topic));
      await admin.close();
      await kafka.close();
    }
  });

  test('an unknown profile is a usage error', async () => {
    const never = { admin: () => Promise.reject(new Error('must not be asked')) };
    const command = { kafka: never, namespace: '', profile: 'huge', format: 'table', ...capture() } as const;
    await expect(runTopicsApply(command)).rejects.toThrow('--profile "huge": expected one of default, local');
  });
});

describe('schemas', () => {
  test('list says what is missing, apply mends it, check and list agree', async () => {
    const { lines, terminal } = capture();
    const command = { registry: createMemoryRegistry(), format: 'json', terminal } as const;
    expect(await runSchemasList(command)).toBe(1);
    expect(await runSchemasCheck(command)).toBe(0);
    expect(await runSchemasApply(command)).toBe(0);
    expect(await runSchemasApply(command)).toBe(0);
    expect(await runSchemasList(command)).toBe(0);
    const rows = lines.map((line) => JSON.parse(line) as { state?: string; action?: string }[]);
    expect(rows[0]?.every((row) => row.state === 'missing')).toBe(true);
    expect(rows[2]?.map((row) => row.action)).toEqual(RECORD_NAMES.map(() => 'registered'));
    expect(rows[3]?.map((row) => row.action)).toEqual(RECORD_NAMES.map(() => 'unchanged'));
    expect(rows[4]?.every((row) => row.state === 'current')).toBe(true);
  });

  test('check answers no, with the reason, when the registry holds something else', async () => {
    const registry = createMemoryRegistry();
    const subject = 'tracehound.events.v1.SecurityEventDetected';
    const other = {
      type: 'record',
      name: 'SecurityEventDetected',
      namespace: 'tracehound.events.v1',
      fields: [{ name: 'event_id', type: 'long' }],
    };
    await registry.register(subject, JSON.stringify(other));
    const { lines, terminal } = capture();
    expect(await runSchemasCheck({ registry, format: 'table', terminal })).toBe(1);
    expect(lines[0]).toMatch(/SecurityEventDetected +no +\S/);
    expect(await runSchemasList({ registry, format: 'table', terminal })).toBe(1);
    expect(lines[1]).toMatch(/SecurityEventDetected +behind +1 +1/);
  });

  test('on the real registry', async () => {
    const stack = await testStack();
    const registry = createRegistry({ url: stack.registryUrl });
    const { lines, terminal } = capture();
    expect(await runSchemasApply({ registry, format: 'table', terminal })).toBe(0);
    expect(await runSchemasCheck({ registry, format: 'table', terminal })).toBe(0);
    expect(await runSchemasList({ registry, format: 'table', terminal })).toBe(0);
    expect(lines[2]?.split('\n')).toHaveLength(RECORD_NAMES.length + 1);
  });
});
