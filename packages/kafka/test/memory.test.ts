import type { TopicPartition } from '../src/index.ts';
import { createMemoryKafka } from '../src/memory/index.ts';
import { describeKafkaContract } from './contract.ts';
import { describeRefusalContract } from './refusal-contract.ts';

const open = async () => {
  const kafka = createMemoryKafka({ now: () => Date.now() });
  let names = 0;
  return {
    client: () => kafka.client(),
    namespace: () => `m${++names}`,
    truncateBefore: async (at: TopicPartition, low: bigint) => kafka.truncateBefore(at, low),
    setRefused: async (what: 'topic' | 'group', name: string, isRefused: boolean) =>
      kafka.setRefused(what, name, isRefused),
    close: async () => undefined,
  };
};

describeKafkaContract('memory', open);
describeRefusalContract('memory', open);
