import { type ErrorCategory, type ErrorCode, TracehoundError } from '@tracehound/event-model';

/**
 * A failed command. `SEC_REDIS_UNAVAILABLE` and `SEC_REDIS_TIMEOUT` leave open whether a write happened: the caller
 * must read before it writes again (X8).
 */
export class RedisError extends TracehoundError {}

type Kind = {
  readonly code: ErrorCode;
  readonly category: ErrorCategory;
  readonly retriable: boolean;
  readonly message: string;
};

const TIMEOUT: Kind = {
  code: 'SEC_REDIS_TIMEOUT',
  category: 'timeout',
  retriable: true,
  message: 'Redis did not answer in time',
};
const UNAVAILABLE: Kind = {
  code: 'SEC_REDIS_UNAVAILABLE',
  category: 'network',
  retriable: true,
  message: 'Redis cannot be reached',
};

/** By the first word of a server reply (Redis documentation, "RESP errors"). */
const REPLIES: readonly (readonly [RegExp, Kind])[] = [
  [
    /^ERR Function not found/i,
    {
      code: 'SEC_REDIS_FUNCTION_MISSING',
      category: 'not_found',
      retriable: true,
      message: 'a Redis function is not loaded',
    },
  ],
  [/^OOM /, { code: 'SEC_REDIS_MEMORY', category: 'overload', retriable: true, message: 'Redis is out of memory' }],
  [
    /^MISCONF /,
    {
      code: 'SEC_REDIS_DISK',
      category: 'dependency',
      retriable: true,
      message: 'Redis cannot write to its disk and takes no writes',
    },
  ],
  [
    /^(LOADING|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|BUSY|READONLY|NOREPLICAS) /,
    { ...UNAVAILABLE, message: 'Redis does not take commands now' },
  ],
  [
    /^(NOAUTH|WRONGPASS|NOPERM) /,
    {
      code: 'SEC_REDIS_DENIED',
      category: 'unauthorized',
      retriable: false,
      message: 'Redis refused the login or the command',
    },
  ],
];

const REFUSED: Kind = {
  code: 'SEC_REDIS_COMMAND',
  category: 'permanent',
  retriable: false,
  message: 'Redis refused a command',
};

/** Total: anything caught around a Redis call becomes a `RedisError`. Messages of the server do not pass, they quote arguments. */
export function classifyRedisError(error: unknown): RedisError {
  if (error instanceof RedisError) return error;
  const kind = kindOf(error);
  return new RedisError(kind.message, {
    code: kind.code,
    category: kind.category,
    retriable: kind.retriable,
    cause: error,
  });
}

function kindOf(error: unknown): Kind {
  if (!(error instanceof Error)) return UNAVAILABLE;
  if (error.message === 'Command timed out' || ('code' in error && error.code === 'ETIMEDOUT')) return TIMEOUT;
  if (error.name !== 'ReplyError') return UNAVAILABLE;
  return REPLIES.find(([pattern]) => pattern.test(error.message))?.[1] ?? REFUSED;
}
