import { Redis, type RedisOptions } from 'ioredis';
import { classifyRedisError, RedisError } from './redis-error.ts';

/** `state` holds correlation state and must not evict; `edge` holds limits and courtesies and may. */
export type RedisRole = 'state' | 'edge';

export type RedisConnectOptions = {
  readonly role: RedisRole;
  /** Upper bound of one command; default 5,000 ms. The edge role of the gateway uses 50 to 100 ms. */
  readonly commandTimeoutMs?: number;
  readonly connectTimeoutMs?: number;
  /** Once per change of the connection; errors of an idle connection end here, never unhandled. */
  readonly onState?: (state: 'up' | 'down', error: unknown) => void;
  /** Resolve before the first connection stands (it is kept being tried). Default false: the first connection must succeed. */
  readonly lazy?: boolean;
  /**
   * `host:port` of sentinels, asked at every connection which server is the primary; the host of the address is then the name they
   * watch it by (`redis://:password@mymaster`). Without any of them a connection is waited for, also at the start.
   */
  readonly sentinels?: readonly string[] | null;
};

/** Ceiling of the pause between two connection attempts. */
const RECONNECT_MS_MAX = 2_000;
/** A sentinel that does not answer within this is passed over for the next one, ms. */
const SENTINEL_TIMEOUT_MS = 1_000;

/**
 * Connects once; afterwards the connection heals itself with growing pauses, but no command is queued while it is down
 * and none is sent again: callers see `SEC_REDIS_UNAVAILABLE` at once. For role `state` it refuses a server that may
 * evict keys (`SEC_REDIS_EVICTION`).
 */
export async function connectRedis(url: string, options: RedisConnectOptions): Promise<Redis> {
  const redis = new Redis(url, {
    lazyConnect: true,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    commandTimeout: options.commandTimeoutMs ?? 5_000,
    connectTimeout: options.connectTimeoutMs ?? 5_000,
    disconnectTimeout: 500,
    retryStrategy: pauseMs,
    connectionName: `tracehound-${options.role}`,
    ...sentinelOptions(url, options.sentinels ?? []),
  });
  watch(redis, options.onState);
  if (options.lazy) {
    redis.connect().catch(() => undefined);
    return redis;
  }
  try {
    await redis.connect();
    if (options.role === 'state') await refuseEviction(redis);
  } catch (error) {
    redis.disconnect();
    throw classifyRedisError(error);
  }
  return redis;
}

function pauseMs(attempt: number): number {
  return Math.min(50 * 2 ** Math.min(attempt, 6), RECONNECT_MS_MAX);
}

/**
 * A fail-over ends the connection as soon as one sentinel tells of it, also where the old primary lives on cut off from the others:
 * what it would still take is lost with it. Only a server that calls itself a primary is connected to.
 */
function sentinelOptions(url: string, sentinels: readonly string[]): Omit<RedisOptions, 'replyMapping'> {
  if (sentinels.length === 0) return {};
  const { hostname, protocol } = new URL(url);
  return {
    sentinels: sentinels.map((text) => {
      const colon = text.lastIndexOf(':');
      return { host: text.slice(0, colon).replace(/^\[(.*)\]$/, '$1'), port: Number(text.slice(colon + 1)) };
    }),
    name: hostname,
    role: 'master',
    failoverDetector: true,
    sentinelRetryStrategy: pauseMs,
    sentinelReconnectStrategy: pauseMs,
    sentinelCommandTimeout: SENTINEL_TIMEOUT_MS,
    enableTLSForSentinelMode: protocol === 'rediss:',
  };
}

function watch(redis: Redis, onState: RedisConnectOptions['onState']): void {
  let up: boolean | null = null;
  let last: unknown = null;
  redis.on('error', (error: unknown) => {
    last = error;
  });
  redis.on('ready', () => {
    up = true;
    onState?.('up', null);
  });
  redis.on('close', () => {
    if (up === false) return;
    up = false;
    onState?.('down', last === null ? null : classifyRedisError(last));
  });
}

/** With no memory bound nothing is ever evicted, but the bound may be set later: the policy itself is checked. */
async function refuseEviction(redis: Redis): Promise<void> {
  const info = await redis.info('memory');
  const policy = /^maxmemory_policy:(\S+)/m.exec(info)?.[1];
  if (policy === 'noeviction') return;
  throw new RedisError('the state Redis may evict keys; set maxmemory-policy noeviction', {
    code: 'SEC_REDIS_EVICTION',
    category: 'permanent',
    retriable: false,
    fields: { policy: policy ?? 'unknown' },
  });
}
