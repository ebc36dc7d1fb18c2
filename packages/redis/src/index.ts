/**
 * Redis as this project uses it: no offline queue and no automatic re-send, so every retry is explicit and every
 * unknown outcome is seen (X8); functions loaded by library; errors classified. It holds no key name of any service.
 */

export type { Redis } from 'ioredis';
export { connectRedis, type RedisConnectOptions, type RedisRole } from './connect.ts';
export { callFunction, type FunctionLibrary, loadFunctions } from './functions.ts';
export { classifyRedisError, RedisError } from './redis-error.ts';
