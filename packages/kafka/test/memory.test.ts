import { createMemoryKafka } from '../src/memory/index.ts';
import { describeKafkaContract } from './contract.ts';

describeKafkaContract('memory', async () => {
  const kafka = createMemoryKafka({ now: () => Date.now() });
  let names = 0;
  return {
    client: () => kafka.client(),
    namespace: () => `m${++names}`,
    truncateBefore: async (at, low) => kafka.truncateBefore(at, low),
    close: async () => undefined,
  };
});
