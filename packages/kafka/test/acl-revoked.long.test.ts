import { openStackWithRights, type StackWithRights } from '@tracehound/testkit';
import { afterAll, beforeAll } from 'vitest';
import { createKafkaJsClient, createPlatformaticClient } from '../src/index.ts';
import { describeRefusalContract } from './refusal-contract.ts';

/** A broker of its own that looks at rights. */
let own: StackWithRights;
let names = 0;
beforeAll(async () => {
  own = await openStackWithRights(['kafka']);
}, 120_000);
afterAll(() => own?.close());

async function setRefused(what: 'topic' | 'group', name: string, isRefused: boolean): Promise<void> {
  if (what === 'group') await (isRefused ? own.rights.revokeGroup(name) : own.rights.grantGroup(name));
  else await (isRefused ? own.rights.revoke(name, 'read') : own.rights.grant(name, 'read'));
}

for (const [adapter, createClient] of [
  ['kafkajs', createKafkaJsClient],
  ['platformatic', createPlatformaticClient],
] as const) {
  describeRefusalContract(adapter, async () => ({
    client: () => createClient({ brokers: own.stack.addresses.kafkaBrokers, clientId: 'refusals' }),
    namespace: () => `${adapter}${++names}`,
    close: async () => undefined,
    setRefused,
  }));
}
