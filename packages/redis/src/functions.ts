import type { Redis } from 'ioredis';
import { sendPacked, type Word } from './packed-command.ts';
import { classifyRedisError } from './redis-error.ts';

/** A Redis Functions library: `code` starts with `#!lua name=<name>`. */
export type FunctionLibrary = { readonly name: string; readonly code: string };

/** Loads or replaces the library. Idempotent; safe while others call it, as Redis swaps it at once. */
export async function loadFunctions(redis: Redis, library: FunctionLibrary): Promise<void> {
  try {
    await redis.call('FUNCTION', 'LOAD', 'REPLACE', library.code);
  } catch (error) {
    throw classifyRedisError(error);
  }
}

/**
 * FCALL. When the server does not know the function (it was flushed or replaced by an empty one) the library is loaded
 * and the call made once more: a function that was not found has had no effect. No other error is retried here.
 */
export async function callFunction(
  redis: Redis,
  library: FunctionLibrary,
  call: {
    readonly name: string;
    readonly keys: readonly string[];
    readonly args: readonly Word[];
  },
): Promise<unknown> {
  const words = [call.name, call.keys.length, ...call.keys, ...call.args];
  const send = (): Promise<unknown> => sendPacked(redis, 'FCALL', words);
  try {
    return await send();
  } catch (error) {
    const classified = classifyRedisError(error);
    if (classified.code !== 'SEC_REDIS_FUNCTION_MISSING') throw classified;
  }
  await loadFunctions(redis, library);
  try {
    return await send();
  } catch (error) {
    throw classifyRedisError(error);
  }
}
