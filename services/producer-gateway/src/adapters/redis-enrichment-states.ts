import { namespaced } from '@tracehound/config';
import { classifyRedisError, type Redis } from '@tracehound/redis';
import type { EnrichmentStates } from '../ports.ts';

/**
 * States of enrichers on the edge Redis: one MGET per batch, one pipeline of SETs after it. Two gateways that see one account at
 * once may each miss what the other wrote: a courtesy like the duplicate check. What was said is in the event for good.
 */
export function createRedisEnrichmentStates(options: {
  readonly redis: Redis;
  readonly namespace: string;
  readonly onForgotten?: (error: unknown) => void;
}): EnrichmentStates {
  const { redis } = options;
  const keyOf = (id: string): string => `${namespaced(options.namespace, 'enrich')}:${id}`;
  return {
    async load(ids) {
      try {
        return await redis.mget(ids.map(keyOf));
      } catch (error) {
        throw classifyRedisError(error);
      }
    },
    save(changed) {
      if (changed.length === 0) return;
      const pipeline = redis.pipeline();
      for (const { id, state, keptMs } of changed) pipeline.set(keyOf(id), state, 'PX', keptMs);
      pipeline.exec().catch((error: unknown) => options.onForgotten?.(classifyRedisError(error)));
    },
  };
}
