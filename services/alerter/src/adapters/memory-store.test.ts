import { alertStoreContract } from '../../test/alert-store.contract.ts';
import { createMemoryStore, positionKey } from './memory-store.ts';

alertStoreContract('memory', async () => {
  const store = createMemoryStore();
  return {
    store,
    setSinkPosition: async ({ topicId, partition, offset }) =>
      void store.audit.positions.set(`${topicId}/${partition}`, offset),
    setAuditedAlert: async (position, row) => void store.audit.alerts.set(positionKey(position), row),
    addEvent: async (event) => void store.audit.events.push(event),
    close: async () => undefined,
  };
});
