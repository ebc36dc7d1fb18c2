import { MemoryStateStore } from './memory-state-store.ts';
import { stateStoreContract } from './state-store-contract.ts';

stateStoreContract('memory', async () => {
  const store = new MemoryStateStore();
  return {
    store,
    flushAll: async () => store.flushAll(),
    loseGroups: async (partition) => store.loseGroups(partition),
  };
});
