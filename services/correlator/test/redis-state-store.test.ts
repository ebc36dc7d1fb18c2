import { connectRedis, type Redis } from '@tracehound/redis';
import { testStack } from '@tracehound/testkit';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createRedisStateStore, loadStateLibrary } from '../src/adapters/redis-state-store.ts';
import { stateStoreContract } from '../src/adapters/state-store-contract.ts';

const TTL_MS = 3_600_000;
let redis: Redis;
let namespace: () => string;

beforeAll(async () => {
  const stack = await testStack();
  namespace = stack.namespace;
  redis = await connectRedis(stack.redisStateUrl, { role: 'state' });
  await loadStateLibrary(redis);
});
afterAll(() => redis.quit());

const keys = (ns: string, partition: number): string[] =>
  ['meta', 'groups', 'outbox'].map((part) => `{${ns}.p${partition}}:${part}`);

stateStoreContract('redis', async () => {
  const ns = namespace();
  return {
    store: createRedisStateStore({ redis, namespace: ns, ttlMs: TTL_MS }),
    // The development servers are shared: losing everything of this namespace is what its owner would see.
    flushAll: async () => void (await redis.del(...keys(ns, 0), ...keys(ns, 1))),
    loseGroups: async (partition) => void (await redis.del(`{${ns}.p${partition}}:groups`)),
  };
});

it('X8 sets a backstop time to live on every key and none shorter', async () => {
  const ns = namespace();
  const store = createRedisStateStore({ redis, namespace: ns, ttlMs: TTL_MS });
  const held = await store.acquire(0, { nonce: 'n', topicId: 't' });
  await store.flush({
    partition: 0,
    fence: held.fence,
    next: 1n,
    engine: Buffer.from('e'),
    trim: 0,
    groups: new Map([['a', Buffer.from('1')]]),
    outbox: [Buffer.from('x')],
  });
  for (const key of keys(ns, 0)) expect(await redis.pttl(key)).toBeGreaterThan(TTL_MS - 60_000);
});

it('X8 loads its library again when the server has lost it', async () => {
  const ns = namespace();
  const store = createRedisStateStore({ redis, namespace: ns, ttlMs: TTL_MS });
  await store.acquire(0, { nonce: 'n', topicId: 't' });
  await redis.call('FUNCTION', 'DELETE', 'tracehound_b_v1').catch(() => undefined);
  expect((await store.acquire(0, { nonce: 'm', topicId: 't' })).fence.epoch).toBe('2');
});
