import { Admin } from '@platformatic/kafka';
import { testStack } from '@tracehound/testkit';
import type { KafkaClient, KafkaClientOptions } from '../src/index.ts';
import type { ContractHarness } from './contract-bench.ts';

/** The contract against the real broker of the test run. */
export async function openNetworkHarness(
  createClient: (options: KafkaClientOptions) => KafkaClient,
): Promise<ContractHarness> {
  const stack = await testStack();
  const brokers = stack.kafkaBrokers;
  const admin = new Admin({ clientId: 'contract-harness', bootstrapBrokers: [...brokers] });
  return {
    client: () => createClient({ brokers, clientId: 'contract' }),
    namespace: () => stack.namespace(),
    truncateBefore: async ({ topic, partition }, offset) => {
      await admin.deleteRecords({ topics: [{ name: topic, partitions: [{ partition, offset }] }] });
    },
    close: () => admin.close(),
  };
}
