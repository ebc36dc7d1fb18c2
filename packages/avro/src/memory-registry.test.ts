import { describeRegistryContract } from '../test/registry-contract.ts';
import { createMemoryRegistry } from './memory-registry.ts';

describeRegistryContract('memory', async () => {
  let count = 0;
  return {
    registry: createMemoryRegistry(),
    subject: () => {
      count += 1;
      return `subject-${count}`;
    },
  };
});
