import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openStack, type Stack } from '@tracehound/stack';
import { type TopicRights, topicRights } from '@tracehound/testkit';
import { afterAll, beforeAll } from 'vitest';
import { createKafkaJsClient, createPlatformaticClient } from '../src/index.ts';
import { describeRefusalContract } from './refusal-contract.ts';

/** A broker of its own that looks at rights. */
let directory: string;
let stack: Stack;
let rights: TopicRights;
let names = 0;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tracehound-acl-'));
  stack = await openStack({ directory, mode: 'native', kinds: ['kafka'], kafkaAuthorizer: true });
  rights = await topicRights(stack.addresses.kafkaBrokers);
}, 120_000);
afterAll(async () => {
  await rights?.close();
  await stack?.stop({ wipe: true });
  await rm(directory, { recursive: true, force: true });
});

async function setRefused(what: 'topic' | 'group', name: string, isRefused: boolean): Promise<void> {
  if (what === 'group') await (isRefused ? rights.revokeGroup(name) : rights.grantGroup(name));
  else await (isRefused ? rights.revoke(name, 'read') : rights.grant(name, 'read'));
}

for (const [adapter, createClient] of [
  ['kafkajs', createKafkaJsClient],
  ['platformatic', createPlatformaticClient],
] as const) {
  describeRefusalContract(adapter, async () => ({
    client: () => createClient({ brokers: stack.addresses.kafkaBrokers, clientId: 'refusals' }),
    namespace: () => `${adapter}${++names}`,
    close: async () => undefined,
    setRefused,
  }));
}
