import { setTimeout as delay } from 'node:timers/promises';
import { type FaultyLink, openFaultyLink, type PartKind, type Stack, type Toxic } from '@tracehound/stack';
import { openOwnStack } from './own-stack.ts';

/** Servers of a test's own, with a proxy before the broker and one before a store. The test reaches them past both. */
export type FaultyServers = {
  readonly stack: Stack;
  readonly kafka: FaultyLink;
  readonly store: FaultyLink;
  /** The address of the broker, or the URL of (a database of) the store, behind its proxy. */
  kafkaBehindLink(): string;
  storeBehindLink(url: string): string;
  stop(): Promise<void>;
};

/** Slow, silent, cut, and cut in the middle of a frame: the faults of a link that every service must outlive. */
export const LINK_FAULTS: readonly Toxic[] = [
  { type: 'latency', attributes: { latency: 300, jitter: 200 } },
  { type: 'timeout', attributes: { timeout: 0 } },
  { type: 'reset_peer', attributes: { timeout: 50 } },
  { type: 'limit_data', attributes: { bytes: 10_000 } },
];

/** Longer than any time-out of a request, shorter than a lease of the alerter. */
const DISTURBED_MS = 6_000;

export async function openFaultyServers(options: {
  readonly kinds: readonly PartKind[];
  readonly store: 'postgres' | 'redis-edge';
}): Promise<FaultyServers> {
  const own = await openOwnStack({ kinds: options.kinds, brokerLinks: true });
  const { stack } = own;
  const [broker] = stack.brokerLinks;
  if (broker === undefined) throw new Error('the broker has no link');
  const kafka = await openFaultyLink(broker);
  const store = await openFaultyLink({ upstream: stack.part(options.store).address });
  return {
    stack,
    kafka,
    store,
    kafkaBehindLink: () => kafka.address,
    storeBehindLink(url) {
      const behind = new URL(url);
      behind.host = store.address;
      return behind.href;
    },
    async stop() {
      await kafka.stop();
      await store.stop();
      await own.close();
    },
  };
}

/** Lets `traffic` run before, while and after the link has the fault; heals it in any case. */
export async function whileDisturbed(
  link: FaultyLink,
  toxic: Toxic,
  traffic: (phase: 'before' | 'disturbed' | 'after') => Promise<unknown>,
): Promise<void> {
  await traffic('before');
  try {
    await link.disturb(toxic);
    const over = delay(DISTURBED_MS); // A fault of the network is a duration.
    await Promise.all([over, traffic('disturbed')]);
  } finally {
    await link.heal();
  }
  await traffic('after');
}
