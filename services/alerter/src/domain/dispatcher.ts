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
  const underWay = new Map<string, number>();
  const flushes = new Set<Promise<void>>();

  async function flush(delivery: ClaimedDelivery): Promise<void> {
    try {
      for (const outcome of await deps.flush.run([delivery])) deps.onOutcome(outcome);
    } catch (error) {
      // The lease runs out and the delivery is claimed again under its old id.
      deps.onError(error);
    } finally {
      underWay.set(delivery.receiver, (underWay.get(delivery.receiver) ?? 1) - 1);
      loop.wake();
    }
  }

  const loop = createLoop({
    everyMs: POLL_MS,
    onError: deps.onError,
    async work() {
      const capacity = new Map(
        [...deps.receivers].map(([name, { concurrencyMax }]) => [name, concurrencyMax - (underWay.get(name) ?? 0)]),
      );
      const { store, owner, leaseMs, receivers, inDoubt } = deps;
      const nowMs = deps.now();
      const claimed = await store.claimDeliveries({ owner, nowMs, leaseMs, capacity, receivers, inDoubt });
      for (const delivery of claimed) {
        underWay.set(delivery.receiver, (underWay.get(delivery.receiver) ?? 0) + 1);
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
