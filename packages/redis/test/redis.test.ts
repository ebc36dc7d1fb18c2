import { createServer } from 'node:net';
import { callFunction, connectRedis, loadFunctions, type Redis } from '@tracehound/redis';
import { type TestStack, testStack } from '@tracehound/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

let stack: TestStack;
let redis: Redis;

beforeAll(async () => {
  stack = await testStack();
  redis = await connectRedis(stack.redisStateUrl, { role: 'state' });
});

afterAll(() => {
  redis.disconnect();
});

function libraryNamed(name: string, answer: string): { name: string; code: string } {
  return {
    name,
    code: `#!lua name=${name}\nredis.register_function('${name}_f', function(keys, args) return '${answer}' .. keys[1] .. args[1] end)`,
  };
}

describe('functions', () => {
  test('load, replace and call; a lost library is loaded again', async () => {
    const name = `th_test_${stack.namespace().replaceAll(/[^a-z0-9]/g, '_')}`;
    const call = { name: `${name}_f`, keys: ['{k}'], args: [Buffer.of(255)] };
    const first = libraryNamed(name, 'one');
    expect(await callFunction(redis, first, call)).toEqual(Buffer.concat([Buffer.from('one{k}'), Buffer.of(255)]));
    const second = libraryNamed(name, 'two');
    await loadFunctions(redis, second);
    await loadFunctions(redis, second);
    expect(await callFunction(redis, second, call)).toEqual(Buffer.concat([Buffer.from('two{k}'), Buffer.of(255)]));
    await redis.call('FUNCTION', 'DELETE', name);
  });

  test('a wrong library is refused without being retried', async () => {
    await expect(loadFunctions(redis, { name: 'x', code: '#!lua name=x\nnonsense(' })).rejects.toMatchObject({
      code: 'SEC_REDIS_COMMAND',
    });
  });
});

describe('connectRedis', () => {
  test('refuses the state role on a server that may evict', async () => {
    const edge = await connectRedis(stack.redisEdgeUrl, { role: 'edge' });
    const info = await edge.info('memory');
    edge.disconnect();
    expect(info).not.toContain('maxmemory_policy:noeviction');
    await expect(connectRedis(stack.redisEdgeUrl, { role: 'state' })).rejects.toMatchObject({
      code: 'SEC_REDIS_EVICTION',
    });
  });

  test('a server that is not there is SEC_REDIS_UNAVAILABLE', async () => {
    await expect(connectRedis('redis://127.0.0.1:1', { role: 'edge' })).rejects.toMatchObject({
      code: 'SEC_REDIS_UNAVAILABLE',
    });
  });

  test('lazily: commands fail at once while down, nothing is queued', async () => {
    const lazy = await connectRedis('redis://127.0.0.1:1', { role: 'edge', lazy: true });
    await expect(lazy.get('x')).rejects.toThrow();
    lazy.disconnect();
  });

  test('a server that never answers runs into the command bound', async () => {
    const silent = createServer(() => undefined);
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const address = silent.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    const failing = connectRedis(`redis://127.0.0.1:${port}`, { role: 'state', commandTimeoutMs: 50 });
    await expect(failing).rejects.toMatchObject({ code: expect.stringMatching(/^SEC_REDIS_(TIMEOUT|UNAVAILABLE)$/) });
    silent.close();
  });
});
