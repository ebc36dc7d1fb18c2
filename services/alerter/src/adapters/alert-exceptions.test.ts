import { createAvroCodec, createMemoryRegistry, registerRecords } from '@tracehound/avro';
import type { KafkaClient } from '@tracehound/kafka';
import { createMemoryKafka } from '@tracehound/kafka/memory';
import { loadRuleSet } from '@tracehound/sigma';
import { describe, expect, test } from 'vitest';
import { type AlertExceptionsDeps, createAlertExceptions } from './alert-exceptions.ts';

const TOPIC = 'detection.rules';
const RULE_SET = 'tracehound.pipeline.v1.RuleSet';
const content = (title: string): string => `title: Failed
id: failed
logsource: {product: tracehound}
detection: {s: {event_type: a}, condition: s}
---
title: ${title}
filter: {rules: [failed], s: {actor.id: robot}, condition: not s}
custom: {owner: ada, reason: ticket 9, expires: 2099-01-31}
`;

/** Rule sets on a log in memory, the reads of it counted. */
async function lookups(change: Partial<AlertExceptionsDeps> = {}) {
  const memory = createMemoryKafka({ now: () => 0 });
  memory.createTopics([{ topic: TOPIC, partitions: 1 }]);
  const kafka = memory.client();
  const registry = createMemoryRegistry();
  await registerRecords(registry);
  const codec = createAvroCodec({ registry });
  await codec.prepare([RULE_SET]);
  const producer = await kafka.producer();
  const read: string[] = [];
  const errors: unknown[] = [];
  const counted: Pick<KafkaClient, 'read'> = {
    read(...range) {
      read.push('read');
      return kafka.read(...range);
    },
  };
  const exceptions = createAlertExceptions({
    kafka: counted,
    admin: await kafka.admin(),
    codec,
    topic: TOPIC,
    waitMs: 60_000,
    onError: (error) => void errors.push(error),
    ...change,
  });
  async function publish(title: string): Promise<string> {
    const { rulesetId, files } = loadRuleSet([{ path: 'r.yml', content: content(title) }]);
    const set = { schema_rev: 1, ruleset_id: rulesetId, files: [...files], created_at: 0, principal: 'test' };
    await producer.send(TOPIC, [{ key: rulesetId, value: codec.encode(RULE_SET, set) }]);
    return rulesetId;
  }
  async function titles(ruleset_id: string): Promise<readonly string[] | null> {
    const rule = { id: 'failed', title: '', level: '', type: '', author: null, status: null, tags: [], timespan_ms: 0 };
    const found = await exceptions({ organization_id: 'acme', rule: { ...rule, ruleset_id } });
    return found && found.map(({ title }) => title);
  }
  return { publish, titles, read, errors };
}

describe('filters and overrides behind an alert', () => {
  test('are those of the set that the alert names, read once', async () => {
    const { publish, titles, read } = await lookups();
    const [first, second] = [await publish('First'), await publish('Second')];
    expect(await titles(first)).toEqual(['First']);
    expect(await titles(second)).toEqual(['Second']);
    expect(await titles(first)).toEqual(['First']);
    expect(read).toHaveLength(2);
  });

  test('of a set that is not there are not known; it is looked for again', async () => {
    const { publish, titles } = await lookups();
    const { rulesetId } = loadRuleSet([{ path: 'r.yml', content: content('Late') }]);
    expect(await titles(rulesetId)).toBeNull();
    await publish('Late');
    expect(await titles(rulesetId)).toEqual(['Late']);
  });

  test('are held for the sets asked for last', async () => {
    const { publish, titles, read } = await lookups();
    const ids: string[] = [];
    for (const title of ['A', 'B', 'C', 'D', 'E']) ids.push(await publish(title));
    for (const id of ids) await titles(id);
    expect(read).toHaveLength(5);
    await titles(ids[4] ?? '');
    expect(read).toHaveLength(5);
    expect(await titles(ids[0] ?? '')).toEqual(['A']);
    expect(read).toHaveLength(6);
  });

  test('are not known while brokers are away or slow; nobody who looks waits for them longer than told', async () => {
    const away = await lookups({ admin: { offsets: () => Promise.reject(new Error('away')) } });
    expect(await away.titles(await away.publish('A'))).toBeNull();
    expect(away.errors).toHaveLength(1);
    const slow = await lookups({ waitMs: 1, admin: { offsets: () => new Promise(() => undefined) } });
    expect(await slow.titles(await slow.publish('A'))).toBeNull();
    expect(slow.errors).toEqual([]);
  });
});
