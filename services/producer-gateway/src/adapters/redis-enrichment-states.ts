import { readFileSync } from 'node:fs';
import { namespaced } from '@tracehound/config';
import { callFunction, classifyRedisError, type FunctionLibrary, type Redis } from '@tracehound/redis';
import type { EnrichmentStates } from '../ports.ts';

const LIBRARY_NAME = 'tracehound_enrich_v1';

/** `src/adapters` and `dist/adapters` lie equally deep, so one path serves sources and builds. */
const LIBRARY: FunctionLibrary = {
  name: LIBRARY_NAME,
  code: readFileSync(new URL(`../../../../deploy/redis/${LIBRARY_NAME}.lua`, import.meta.url), 'utf8'),
};

/** States of enrichers on the edge Redis: one MGET per batch and one compare-and-set of all its states after it. */
export function createRedisEnrichmentStates(options: {
  readonly redis: Redis;
  readonly namespace: string;
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
    async save(changed) {
      if (changed.length === 0) return [];
      const answers = (await callFunction(redis, LIBRARY, {
        name: `${LIBRARY_NAME}_swap`,
        keys: changed.map(({ id }) => keyOf(id)),
        args: changed.flatMap(({ before, state, keptMs }) => [before ?? '', state, keptMs]),
      })) as readonly (number | Buffer)[];
      return changed.flatMap(({ id }, index) => {
        const answer = answers[index];
        if (!Buffer.isBuffer(answer)) return [];
        return [{ id, state: answer.length === 0 ? null : answer.toString() }];
      });
    },
  };
}
