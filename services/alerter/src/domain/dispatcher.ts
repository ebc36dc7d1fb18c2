import type { InDoubtPolicy } from '@tracehound/alerting';
import type { Outcome, Pipeline } from '@tracehound/pipeline';
import type { AlertStore, ClaimedDelivery, Receiver } from '../ports.ts';
import type { DeliveredNotice } from '../stages/deliver.ts';
import { createLoop, type Loop } from './loop.ts';

/** How often due groups are looked for when nobody says that there are any (retries, expired leases). */
const POLL_MS = 250;

/**
 * Leases due groups and flushes each through `deliver, record`, at most `concurrencyMax` per receiver at once, so that
 * a slow receiver holds up nobody else. `stop` waits for the flushes under way.
 */
export function createDispatcher(deps: {
  readonly store: AlertStore;
  readonly flush: Pipeline<ClaimedDelivery, DeliveredNotice>;
  readonly receivers: ReadonlyMap<string, Receiver>;
  readonly owner: string;
  readonly leaseMs: number;
  readonly inDoubt: InDoubtPolicy;
  /** Never goes back. */
  readonly now: () => number;
  /** Every flush that ended, with its verdict. */
  readonly onOutcome: (outcome: Outcome<ClaimedDelivery, DeliveredNotice>) => void;
  readonly onError: (error: unknown) => void;
}): Loop {
  /** The receiver by the group that is being flushed. */
  const underWay = new Map<string, string>();
  const flushes = new Set<Promise<void>>();

  async function flush(delivery: ClaimedDelivery): Promise<void> {
    try {
      for (const outcome of await deps.flush.run([delivery])) deps.onOutcome(outcome);
    } catch (error) {
      // The lease runs out and the delivery is claimed again under its old id.
      deps.onError(error);
    } finally {
      underWay.delete(delivery.groupId);
      loop.wake();
    }
  }

  const loop = createLoop({
    everyMs: POLL_MS,
    onError: deps.onError,
    async work() {
      const capacity = new Map([...deps.receivers].map(([name, { concurrencyMax }]) => [name, concurrencyMax]));
      for (const name of underWay.values()) capacity.set(name, (capacity.get(name) ?? 0) - 1);
      const { store, owner, leaseMs, receivers, inDoubt } = deps;
      const nowMs = deps.now();
      const claimed = await store.claimDeliveries({
        owner,
        nowMs,
        leaseMs,
        capacity,
        underWay: new Set(underWay.keys()),
        receivers,
        inDoubt,
      });
      for (const delivery of claimed) {
        underWay.set(delivery.groupId, delivery.receiver);
        const flushing = flush(delivery).finally(() => flushes.delete(flushing));
        flushes.add(flushing);
      }
      return claimed.length > 0;
    },
  });

  return {
    start: () => loop.start(),
    wake: () => loop.wake(),
    async stop() {
      await loop.stop();
      await Promise.all(flushes);
    },
  };
}
