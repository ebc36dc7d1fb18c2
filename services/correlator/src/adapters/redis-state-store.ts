import { readFileSync } from 'node:fs';
import { TracehoundError } from '@tracehound/event-model';
import { callFunction, classifyRedisError, type FunctionLibrary, loadFunctions, type Redis } from '@tracehound/redis';
import type { AcquiredState, AcquiredStatus, FlushOutcome, FlushRequest, StateStore } from '../ports.ts';

/** Library and functions carry the protocol version: names are unique over all libraries of a server. */
const LIBRARY_NAME = 'tracehound_b_v1';

/** `src/adapters` and `dist/adapters` lie equally deep, so one path serves sources and builds. */
const LIBRARY: FunctionLibrary = {
  name: LIBRARY_NAME,
  code: readFileSync(new URL(`../../../../deploy/redis/${LIBRARY_NAME}.lua`, import.meta.url), 'utf8'),
};

const STATUSES: readonly AcquiredStatus[] = ['held', 'empty', 'other_topic', 'partial'];

/** Groups per HSCAN answer: about 100 kB at 200 B a group, so the server is never held up. */
const SCAN_COUNT = 500;

export type RedisStateStoreOptions = {
  readonly redis: Redis;
  readonly namespace: string;
  /** Backstop: keys of a partition nobody flushes go after this many ms; must exceed the retention of the topic (X8). */
  readonly ttlMs: number;
};

/** Puts this build's library in place; a server that loses it later gets it again with the next call. */
export function loadStateLibrary(redis: Redis): Promise<void> {
  return loadFunctions(redis, LIBRARY);
}

/** `StateStore` on Redis Functions (contracts section 6). The client must not queue or re-send commands by itself. */
export function createRedisStateStore(options: RedisStateStoreOptions): StateStore {
  const { redis, ttlMs } = options;
  const tag = options.namespace === '' ? 'p' : `${options.namespace}.p`;
  const keysOf = (partition: number): readonly [string, string, string] => [
    `{${tag}${partition}}:meta`,
    `{${tag}${partition}}:groups`,
    `{${tag}${partition}}:outbox`,
  ];

  return {
    async acquire(partition, { nonce, topicId, forget = false }): Promise<AcquiredState> {
      const answer = await callFunction(redis, LIBRARY, {
        name: `${LIBRARY_NAME}_acquire`,
        keys: keysOf(partition),
        args: [nonce, topicId, ttlMs, forget ? '1' : '0'],
      });
      return parseAcquired(answer, nonce);
    },

    async *groups(partition): AsyncGenerator<readonly [string, Buffer]> {
      const [, groups] = keysOf(partition);
      let cursor = '0';
      do {
        const [next, entries] = await scan(redis, groups, cursor);
        for (let i = 0; i + 1 < entries.length; i += 2) {
          yield [(entries[i] as Buffer).toString('utf8'), entries[i + 1] as Buffer];
        }
        cursor = next;
      } while (cursor !== '0');
    },

    async flush(request: FlushRequest): Promise<FlushOutcome> {
      const answer = await callFunction(redis, LIBRARY, {
        name: `${LIBRARY_NAME}_flush`,
        keys: keysOf(request.partition),
        args: flushArgs(request, ttlMs),
      });
      switch (String(answer)) {
        case 'OK':
          return 'ok';
        case 'FENCED':
          return 'fenced';
        case 'MISSING':
          return 'missing';
        default:
          throw protocolError('flush');
      }
    },

    async ping(): Promise<void> {
      try {
        await redis.ping();
      } catch (error) {
        throw classifyRedisError(error);
      }
    },
  };
}

function flushArgs(request: FlushRequest, ttlMs: number): (string | number | Buffer)[] {
  const { fence } = request;
  const set: (string | Buffer)[] = [];
  const dead: string[] = [];
  for (const [id, blob] of request.groups) {
    if (blob === null) dead.push(id);
    else set.push(id, blob);
  }
  const head = [fence.epoch, fence.nonce, fence.flushSeq, request.next.toString(), request.engine, request.trim, ttlMs];
  return [...head, set.length / 2, dead.length, request.outbox.length, ...set, ...dead, ...request.outbox];
}

async function scan(redis: Redis, key: string, cursor: string): Promise<[string, Buffer[]]> {
  try {
    const [next, entries] = await redis.hscanBuffer(key, cursor, 'COUNT', SCAN_COUNT);
    return [next.toString(), entries];
  } catch (error) {
    throw classifyRedisError(error);
  }
}

function parseAcquired(answer: unknown, nonce: string): AcquiredState {
  if (!Array.isArray(answer) || answer.length !== 7) throw protocolError('acquire');
  const [epoch, flushSeq, status, next, engine, groups, outbox]: unknown[] = answer;
  const known = STATUSES.find((name) => name === text(status));
  if (known === undefined || !Array.isArray(outbox)) throw protocolError('acquire');
  return {
    fence: { epoch: text(epoch), nonce, flushSeq: Number(text(flushSeq)) },
    status: known,
    next: Buffer.isBuffer(next) ? BigInt(next.toString()) : null,
    engine: Buffer.isBuffer(engine) ? engine : null,
    groupCount: Number(text(groups)),
    outbox: outbox.filter((entry): entry is Buffer => Buffer.isBuffer(entry)),
  };
}

function text(value: unknown): string {
  if (!Buffer.isBuffer(value)) throw protocolError('acquire');
  return value.toString('utf8');
}

function protocolError(call: string): TracehoundError {
  return new TracehoundError('the state library gave an unknown answer', {
    code: 'SEC_CORRELATOR_STATE_PROTOCOL',
    category: 'dependency',
    retriable: true,
    fields: { call },
  });
}
