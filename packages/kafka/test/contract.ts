import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { KafkaError } from '../src/index.ts';
import { describeConsumerContract } from './consumer-contract.ts';
import { ContractBench, type ContractHarness } from './contract-bench.ts';
import { describeLogContract } from './log-contract.ts';

/** The contract of the port: every adapter passes the same cases. */
export function describeKafkaContract(adapter: string, open: () => Promise<ContractHarness>): void {
  describe(`Kafka port contract: ${adapter}`, () => {
    const bench = new ContractBench();
    beforeAll(() => bench.open(open));
    afterAll(() => bench.close());

    describeLogContract(bench);
    describeConsumerContract(bench);

    it('names every failure with a code and a category', async () => {
      const topic = `${bench.harness.namespace()}.absent`;
      const error: unknown = await bench.admin.partitionCount(topic).catch((e: unknown) => e);
      expect(error).toBeInstanceOf(KafkaError);
      expect(error).toMatchObject({ code: 'SEC_KAFKA_UNKNOWN_TOPIC', category: 'not_found' });
    });
  });
}
