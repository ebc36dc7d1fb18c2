import { readFileSync } from 'node:fs';
import { TracehoundError } from '@tracehound/event-model';
import { callFunction, classifyRedisError, type FunctionLibrary, loadFunctions, type Redis } from '@tracehound/redis';
import { ClusterStoreError, EvictingStoreError, OwnershipLostError } from '../errors.ts';
import type { AcquiredState, AcquiredStatus, FlushOutcome, FlushRequest, GroupPage, StateStore } from '../ports.ts';

/** Library and functions carry the protocol version: names are unique over all libraries of a server. */
const LIBRARY_NAME = 'tracehound_b_v1';

/** `src/adapters` and `dist/adapters` lie equally deep, so one path serves sources and builds. */
const LIBRARY: FunctionLibrary = {
  name: LIBRARY_NAME,
  code: readFileSync(new URL(`../../../../deploy/redis/${LIBRARY_NAME}.lua`, import.meta.url), 'utf8'),
};

const STATUSES: readonly AcquiredStatus[] = ['held', 'empty', 'other_topic', 'partial'];

/** About 100 kB a page at 200 B a group, so the server is never held up. */
const PAGE_GROUPS = 500;

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

    async *groups(partition, fence): AsyncGenerator<GroupPage> {
      let cursor = '0';
      do {
        const answer = await callFunction(redis, LIBRARY, {
          name: `${LIBRARY_NAME}_groups`,
          keys: keysOf(partition),
          args: [fence.epoch, fence.nonce, fence.flushSeq, cursor, PAGE_GROUPS],
        });
        const page = parsePage(answer, partition);
        yield page.groups;
        cursor = page.cursor;
      } while (cursor !== '0');
    },

    async read(partition, fence, groupIds): Promise<readonly Buffer[]> {
      const answer = await callFunction(redis, LIBRARY, {
        name: `${LIBRARY_NAME}_read`,
        keys: keysOf(partition),
        args: [fence.epoch, fence.nonce, fence.flushSeq, ...groupIds],
      });
      return parseBlobs(answer, { partition, count: groupIds.length });
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
      const info = await redis.info('memory', 'cluster').catch((error: unknown) => {
        throw classifyRedisError(error);
      });
      if (/^cluster_enabled:1/m.test(info)) throw new ClusterStoreError();
      const policy = /^maxmemory_policy:(\S+)/m.exec(info)?.[1] ?? 'unknown';
      if (policy !== 'noeviction') throw new EvictingStoreError(policy);
      // INFO is answered always, PING is refused (MISCONF) by a server that takes no writes because it cannot persist them.
      await redis.ping().catch((error: unknown) => {
        throw classifyRedisError(error);
      });
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

function parsePage(answer: unknown, partition: number): { readonly cursor: string; readonly groups: GroupPage } {
  if (!Array.isArray(answer)) throw protocolError('groups');
  const [status, cursor, entries]: unknown[] = answer;
  checkHeld(status, partition);
  if (!Array.isArray(entries)) throw protocolError('groups');
  const groups: [string, Buffer][] = [];
  for (let i = 0; i + 1 < entries.length; i += 2) {
    const [id, blob]: unknown[] = [entries[i], entries[i + 1]];
    if (!Buffer.isBuffer(blob)) throw protocolError('groups');
    groups.push([text(id), blob]);
  }
  return { cursor: text(cursor), groups };
}

function parseBlobs(answer: unknown, of: { readonly partition: number; readonly count: number }): readonly Buffer[] {
  if (!Array.isArray(answer)) throw protocolError('read');
  const [status, blobs]: unknown[] = answer;
  checkHeld(status, of.partition);
  if (!Array.isArray(blobs) || blobs.length !== of.count || !blobs.every(Buffer.isBuffer)) throw protocolError('read');
  return blobs;
}

/** @throws OwnershipLostError unless the status says that the fence is the caller's. */
function checkHeld(status: unknown, partition: number): void {
  const outcome = text(status);
  if (outcome !== 'OK') throw new OwnershipLostError(partition, outcome.toLowerCase());
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
