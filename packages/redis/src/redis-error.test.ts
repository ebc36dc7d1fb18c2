import { describe, expect, test } from 'vitest';
import { classifyRedisError, RedisError } from './redis-error.ts';

function reply(message: string): Error {
  return Object.assign(new Error(message), { name: 'ReplyError' });
}

describe('classifyRedisError', () => {
  test.each([
    [new Error('Command timed out'), 'SEC_REDIS_TIMEOUT', true],
    [Object.assign(new Error('connect ETIMEDOUT'), { code: 'ETIMEDOUT' }), 'SEC_REDIS_TIMEOUT', true],
    [Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' }), 'SEC_REDIS_UNAVAILABLE', true],
    [new Error("Stream isn't writeable and enableOfflineQueue options is false"), 'SEC_REDIS_UNAVAILABLE', true],
    [new Error('Connection is closed.'), 'SEC_REDIS_UNAVAILABLE', true],
    ['not an error', 'SEC_REDIS_UNAVAILABLE', true],
    [reply('ERR Function not found'), 'SEC_REDIS_FUNCTION_MISSING', true],
    [reply("OOM command not allowed when used memory > 'maxmemory'."), 'SEC_REDIS_MEMORY', true],
    [reply('MISCONF Errors writing to the AOF file: No space left on device'), 'SEC_REDIS_DISK', true],
    [reply('NOREPLICAS Not enough good replicas to write.'), 'SEC_REDIS_UNAVAILABLE', true],
    [reply('LOADING Redis is loading the dataset in memory'), 'SEC_REDIS_UNAVAILABLE', true],
    [reply('NOAUTH Authentication required.'), 'SEC_REDIS_DENIED', false],
    [reply('WRONGTYPE Operation against a key holding the wrong kind of value'), 'SEC_REDIS_COMMAND', false],
  ])('%s is %s', (error, code, retriable) => {
    expect(classifyRedisError(error)).toMatchObject({ code, retriable });
  });

  test('keeps what is classified and hides what the server quotes', () => {
    const once = classifyRedisError(reply("ERR unknown command 'SETT', with args beginning with: 'hunter2'"));
    expect(once).toBeInstanceOf(RedisError);
    expect(classifyRedisError(once)).toBe(once);
    expect(once.message).not.toContain('hunter2');
  });
});
