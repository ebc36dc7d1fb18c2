import { namespaced } from '@tracehound/config';
import { classifyRedisError, type Redis } from '@tracehound/redis';
import type { Coordinates } from '../domain/intake-event.ts';
import type { RecentEvents } from '../ports.ts';

/**
 * Acknowledged event ids on the edge Redis: one MGET per batch, one pipeline of SETs after the acknowledgement. Values
 * are `topic partition offset`. Redis may lose them all; then events are written twice, which consumers expect (X6).
 */
export function createRedisRecentEvents(options: {
  readonly redis: Redis;
  readonly namespace: string;
  readonly windowMs: number;
  readonly onForgotten?: (error: unknown) => void;
}): RecentEvents {
  const { redis } = options;
  const keyOf = (id: string): string => `${namespaced(options.namespace, 'recent')}:${id}`;

  return {
    async lookup(ids) {
      try {
        return (await redis.mget(ids.map(keyOf))).map((text) => (text === null ? null : coordinatesOf(text)));
      } catch (error) {
        throw classifyRedisError(error);
      }
    },
    remember(events) {
      if (events.length === 0) return;
      const pipeline = redis.pipeline();
      for (const { id, at } of events) {
        pipeline.set(keyOf(id), `${at.topic} ${at.partition} ${at.offset}`, 'PX', options.windowMs);
      }
      pipeline.exec().catch((error: unknown) => options.onForgotten?.(classifyRedisError(error)));
    },
  };
}

function coordinatesOf(text: string): Coordinates | null {
  const match = /^(\S+) (\d+) (\d+)$/.exec(text);
  const [, topic, partition, offset] = match ?? [];
  if (topic === undefined || partition === undefined || offset === undefined) return null;
  return { topic, partition: Number(partition), offset };
}
