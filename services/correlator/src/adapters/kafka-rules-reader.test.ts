import { generateKeyPairSync } from 'node:crypto';
import { createAvroCodec, createMemoryRegistry, registerRecords } from '@tracehound/avro';
import { ACTIVATION_LIMITS } from '@tracehound/correlation';
import { APPROVALS_HEADER, approve, type RuleActivation, topicSettings } from '@tracehound/event-model';
import { createMemoryKafka } from '@tracehound/kafka/memory';
import { describe, expect, it } from 'vitest';
import { topicNames } from '../config.ts';
import { BrokerTime } from '../domain/broker-time.ts';
import { RuleBook } from '../domain/rule-book.ts';
import { createRulesReader } from './kafka-rules-reader.ts';

const ada = { keyId: 'ada', name: 'Ada', ...generateKeyPairSync('ed25519') };
const tripper = { keyId: 'tripper', name: 'Tripper', ...generateKeyPairSync('ed25519') };
const eve = { keyId: 'ada', name: 'Eve', ...generateKeyPairSync('ed25519') };

function activation(id: string): RuleActivation {
  return {
    schema_rev: 1,
    activation_id: id,
    ruleset_id: 'r',
    lateness_ms: 1_000,
    clock_allowance_ms: 1_000,
    sources_version: 1,
    sources: [],
    effective_at: 0,
    created_at: 0,
    principal: 'test',
    ...ACTIVATION_LIMITS,
    reason: null,
    breakers: [],
    based_on: null,
    matches_topic_id: null,
    matches_partitions: null,
  };
}

describe('activations that must be signed', () => {
  it('unsigned ones and those of strangers are passed over and told; the old set stays, a breaker key only trips rules', async () => {
    const memory = createMemoryKafka({ now: () => 1_000 });
    const client = memory.client();
    const admin = await client.admin();
    await admin.applyTopics(topicSettings({ profile: 'local', namespace: '' }));
    const registry = createMemoryRegistry();
    await registerRecords(registry);
    const codec = createAvroCodec({ registry });
    await codec.prepare(['tracehound.pipeline.v1.RuleActivation']);
    const topics = topicNames('');
    const producer = await client.producer();
    const write = async (one: RuleActivation, signer: typeof ada | null): Promise<void> => {
      const value = codec.encode('tracehound.pipeline.v1.RuleActivation', one);
      const headers = signer === null ? {} : { [APPROVALS_HEADER]: JSON.stringify([approve(one, signer)]) };
      await producer.send(topics.activations, [{ key: 'r', value, headers }]);
    };
    await write(activation('good'), ada);
    await write({ ...activation('unsigned'), effective_at: 100_000 }, null);
    await write({ ...activation('strange'), effective_at: 100_000 }, eve);
    const breakers = [{ organization_id: 'mallory', rule_id: 'many', from: 9_000, until: 609_000 }];
    const tripped = { ...activation('tripped'), effective_at: 9_000, based_on: 'good', breakers };
    await write(tripped, tripper);
    await write(tripped, tripper); // After a lost acknowledgement.
    await write({ ...tripped, activation_id: 'taken out', based_on: 'tripped', breakers: [] }, tripper);
    await write({ ...tripped, activation_id: 'other rules', based_on: 'tripped', ruleset_id: 's' }, tripper);
    await write({ ...tripped, activation_id: 'late', based_on: 'good' }, tripper);
    const book = new RuleBook();
    const ignored: string[] = [];
    const reader = createRulesReader({
      ...{ client, admin, codec, topics, book, brokerTime: new BrokerTime() },
      policy: { approvals: 1, keys: [ada], breakerKeys: [tripper] },
      onIgnored: ({ offset, reason }) => ignored.push(`${offset} ${reason}`),
    });
    await reader.refresh();
    expect(book.activations.at(8_999)?.activation.activation_id).toBe('good');
    expect(book.activations.at(200_000)?.activation.activation_id).toBe('tripped');
    expect(ignored).toEqual(['1 not_approved', '2 not_approved', '5 breaker_refused', '6 breaker_refused', '7 stale']);
  });
});
