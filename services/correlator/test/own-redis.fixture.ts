import { join } from 'node:path';
import { connectRedis, type Redis } from '@tracehound/redis';
import type { Stack } from '@tracehound/stack';
import type { OwnStack } from '@tracehound/testkit';
import type { CorrelatorApp } from '../src/app.ts';
import { type CorrelatorWorld, correlatorWorld } from './correlator-world.fixture.ts';
import type { TestEvent } from './events.fixture.ts';
import { eventsOf, expectExact, flowing, sendSliced } from './stream.fixture.ts';

/** A correlator on a Redis of its own, which the test may empty, fill, hold up and kill. */
export type OwnRedis<S extends OwnStack = OwnStack> = {
  readonly world: CorrelatorWorld;
  readonly app: CorrelatorApp;
  readonly servers: S;
  readonly stack: Stack;
  /** A connection past the correlator's. */
  readonly redis: Redis;
  /** Where the append-only files lie. */
  readonly files: string;
};

export async function withOwnRedis<S extends OwnStack>(
  open: () => Promise<S>,
  body: (own: OwnRedis<S>) => Promise<void>,
): Promise<void> {
  const servers = await open();
  const { stack } = servers;
  const url = stack.addresses.redisStateUrl;
  const world = await correlatorWorld({ redisStateUrl: url });
  const redis = await connectRedis(url, { role: 'state', commandTimeoutMs: 20_000 });
  try {
    const app = await world.app({ TRACEHOUND_CORRELATOR_REDIS_TIMEOUT: '1s' });
    await body({ world, app, servers, stack, redis, files: join(servers.data('redis-state'), 'appendonlydir') });
  } finally {
    redis.disconnect();
    await world.close();
    await servers.close();
  }
}

/** A stream with a fault in its middle, which returns the events it sent itself; the alerts must be the oracle's. */
export function exactOnRedis<S extends OwnStack>(
  open: () => Promise<S>,
  seed: number,
  fault: (own: OwnRedis<S>) => Promise<readonly TestEvent[]>,
): () => Promise<void> {
  return () =>
    withOwnRedis(open, async (own) => {
      const events = eventsOf(seed);
      const more: TestEvent[] = [];
      await sendSliced(own.world, events, async (slice) => {
        if (slice === 1) await flowing(own.world);
        if (slice === 2) more.push(...(await fault(own)));
      });
      await expectExact(own.world, [...events, ...more]);
    });
}

/** Events of an organization nobody else sends for. */
export function moreEvents(seed: number): readonly TestEvent[] {
  return eventsOf(seed, 60).map((event) => ({ ...event, id: `more-${event.id}`, organization: 'initech' }));
}
