import { describeAuditStore, REFUSED_EVENT_TYPE } from '../../test/audit-store.contract.ts';
import { createMemoryAuditStore } from './memory-store.ts';

describeAuditStore('memory', () =>
  Promise.resolve(createMemoryAuditStore({ refuses: (row) => row.projection.eventType === REFUSED_EVENT_TYPE })),
);
