import { beforeEach, describe, expect, it } from 'vitest';
import type { AcquiredState, FlushRequest, StateStore } from '../ports.ts';

/** A store under test and what its server can suffer. */
export type StateStoreUnderTest = {
  readonly store: StateStore;
  /** The server loses everything. */
  readonly flushAll: () => Promise<void>;
  /** The server loses the groups of a partition but not its meta. */
  readonly loseGroups: (partition: number) => Promise<void>;
};

/** One suite for every `StateStore`: in memory and on a real Redis (X8). */
export function stateStoreContract(name: string, make: () => Promise<StateStoreUnderTest>): void {
  describe(`state store contract: ${name}`, () => {
    let under: StateStoreUnderTest;
    let store: StateStore;
    beforeEach(async () => {
      under = await make();
      store = under.store;
    });

    const take = (nonce: string, options: { forget?: boolean; topicId?: string } = {}): Promise<AcquiredState> =>
      store.acquire(0, {
        nonce,
        topicId: options.topicId ?? 'topic-1',
        ...(options.forget === undefined ? {} : { forget: options.forget }),
      });
    const request = (held: AcquiredState, more: Partial<FlushRequest> = {}): FlushRequest => ({
      partition: 0,
      fence: held.fence,
      next: 7n,
      engine: Buffer.from('engine'),
      trim: 0,
      groups: new Map(),
      outbox: [],
      ...more,
    });
    /** What the next owner would load. */
    const groups = async (options: { topicId?: string } = {}): Promise<Map<string, string>> => {
      const { fence } = await take('reader', options);
      const found = new Map<string, string>();
      for await (const page of store.groups(0, fence)) for (const [id, blob] of page) found.set(id, blob.toString());
      return found;
    };

    it('takes a flush of any size: a watermark that jumps ends everything at once', async () => {
      const many = 120_000;
      const written = new Map(Array.from({ length: many }, (_, index) => [`g${index}`, Buffer.from('state')]));
      const outbox = Array.from({ length: many }, () => Buffer.from('alert'));
      const first = await take('n1');
      expect(await store.flush(request(first, { groups: written, outbox }))).toBe('ok');
      const second = await take('n2');
      expect([second.groupCount, second.outbox.length]).toEqual([many, many]);
      const gone = new Map([...written.keys()].map((id) => [id, null]));
      expect(await store.flush(request(second, { groups: gone, trim: many }))).toBe('ok');
      expect(await take('n3')).toMatchObject({ groupCount: 0, outbox: [] });
    });

    it('X8 starts empty and gives back what a flush wrote', async () => {
      const first = await take('n1');
      expect(first).toMatchObject({ status: 'empty', next: null, engine: null, groupCount: 0, outbox: [] });
      const written = new Map([
        ['a', Buffer.from('1')],
        ['ключ', Buffer.from([0, 255, 10])],
      ]);
      expect(await store.flush(request(first, { groups: written, outbox: [Buffer.from('x'), Buffer.from('y')] }))).toBe(
        'ok',
      );

      const second = await take('n2');
      expect(second.status).toBe('held');
      expect(second.next).toBe(7n);
      expect(second.engine?.toString()).toBe('engine');
      expect(second.groupCount).toBe(2);
      expect(second.outbox.map(String)).toEqual(['x', 'y']);
      const found = new Map<string, Buffer>();
      for await (const page of store.groups(0, second.fence)) for (const [id, blob] of page) found.set(id, blob);
      expect(found).toEqual(written);
    });

    it('X8 deletes dead groups, trims the outbox from its head and appends', async () => {
      const held = await take('n1');
      const all = new Map([...'abc'].map((id) => [id, Buffer.from(id)] as const));
      await store.flush(request(held, { groups: all, outbox: [Buffer.from('1'), Buffer.from('2')] }));
      const fence = { ...held.fence, flushSeq: held.fence.flushSeq + 1 };
      const next = new Map([
        ['a', null],
        ['b', Buffer.from('B')],
      ]);
      expect(await store.flush(request(held, { fence, groups: next, trim: 1, outbox: [Buffer.from('3')] }))).toBe('ok');
      expect(await groups()).toEqual(
        new Map([
          ['b', 'B'],
          ['c', 'c'],
        ]),
      );
      expect((await take('n2')).outbox.map(String)).toEqual(['2', '3']);
    });

    it('X8 refuses a flush repeated with the same sequence number, and one with a number ahead', async () => {
      const held = await take('n1');
      expect(await store.flush(request(held))).toBe('ok');
      expect(await store.flush(request(held))).toBe('fenced');
      expect(await store.flush(request(held, { fence: { ...held.fence, flushSeq: held.fence.flushSeq + 2 } }))).toBe(
        'fenced',
      );
    });

    it('X8 fences the owner before: by epoch after a take-over, by nonce after a loss', async () => {
      const zombie = await take('n1');
      const owner = await take('n2');
      expect(await store.flush(request(zombie, { groups: new Map([['z', Buffer.from('z')]]) }))).toBe('fenced');
      expect(await store.flush(request(owner))).toBe('ok');
      expect(await groups()).toEqual(new Map());

      await under.flushAll();
      expect(await store.flush(request(zombie))).toBe('missing');
      const reborn = await take('n3');
      expect(reborn.fence.epoch).toBe(zombie.fence.epoch);
      expect(await store.flush(request(zombie))).toBe('fenced');
      expect(await store.flush(request(reborn))).toBe('ok');
    });

    it('X8 a request that was stuck lands after the take-over and changes nothing', async () => {
      const held = await take('n1');
      await store.flush(request(held, { groups: new Map([['a', Buffer.from('1')]]) }));
      const ghost = request(held, {
        fence: { ...held.fence, flushSeq: held.fence.flushSeq + 1 },
        groups: new Map([['a', Buffer.from('ghost')]]),
        next: 99n,
      });
      const again = await take('n2');
      expect(await store.flush(ghost)).toBe('fenced');
      expect(again.next).toBe(7n);
      expect(await groups()).toEqual(new Map([['a', '1']]));
    });

    it('X5 drops the state of a topic that was deleted and made again', async () => {
      const held = await take('n1');
      await store.flush(request(held, { groups: new Map([['a', Buffer.from('1')]]), outbox: [Buffer.from('x')] }));
      const other = await take('n2', { topicId: 'topic-2' });
      expect(other).toMatchObject({ status: 'other_topic', next: null, engine: null, groupCount: 0, outbox: [] });
      expect(await groups({ topicId: 'topic-2' })).toEqual(new Map());
      const third = await take('n3', { topicId: 'topic-2' });
      expect(await store.flush(request(third))).toBe('ok');
      expect((await take('n4', { topicId: 'topic-2' })).status).toBe('held');
    });

    it('X8 notices that a part of the state was lost and starts from nothing', async () => {
      const held = await take('n1');
      await store.flush(request(held, { groups: new Map([['a', Buffer.from('1')]]), outbox: [Buffer.from('x')] }));
      const fence = { ...held.fence, flushSeq: held.fence.flushSeq + 1 };
      await under.loseGroups(0);
      expect(await store.flush(request(held, { fence, groups: new Map([['b', Buffer.from('2')]]) }))).toBe('missing');
      expect(await take('n2')).toMatchObject({ status: 'partial', next: null, groupCount: 0, outbox: [] });
    });

    it('X8 stops reading groups when the ownership has gone', async () => {
      const held = await take('n1');
      await take('n2');
      const read = async (): Promise<void> => {
        for await (const _ of store.groups(0, held.fence)) expect.unreachable('a group was read');
      };
      await expect(read()).rejects.toMatchObject({ code: 'SEC_CORRELATOR_OWNERSHIP_LOST' });
    });

    it('X8 reads single groups in the order asked for, as many as there are', async () => {
      const held = await take('n1');
      const many = new Map(Array.from({ length: 9_001 }, (_, i) => [`g${i}`, Buffer.from(String(i))] as const));
      await store.flush(request(held, { groups: many }));
      const fence = { ...held.fence, flushSeq: held.fence.flushSeq + 1 };
      expect((await store.read(0, fence, ['g7', 'g9000', 'g0'])).map(String)).toEqual(['7', '9000', '0']);
      expect((await store.read(0, fence, [...many.keys()])).map(String)).toEqual([...many.values()].map(String));
      expect(await store.read(0, fence, [])).toEqual([]);
    });

    it('X8 reads no group for another owner, of another flush, or of a state that lacks one', async () => {
      const held = await take('n1');
      await store.flush(request(held, { groups: new Map([['a', Buffer.from('1')]]) }));
      const lost = { code: 'SEC_CORRELATOR_OWNERSHIP_LOST' };
      await expect(store.read(0, held.fence, ['a'])).rejects.toMatchObject(lost);
      const fence = { ...held.fence, flushSeq: held.fence.flushSeq + 1 };
      await expect(store.read(0, { ...fence, nonce: 'other' }, ['a'])).rejects.toMatchObject(lost);
      await expect(store.read(0, fence, ['a', 'b'])).rejects.toMatchObject(lost);
      expect((await store.read(0, fence, ['a'])).map(String)).toEqual(['1']);
      await take('n2');
      await expect(store.read(0, fence, ['a'])).rejects.toMatchObject(lost);
      await under.flushAll();
      await expect(store.read(0, fence, ['a'])).rejects.toMatchObject(lost);
    });

    it('X8 a trim beyond the outbox is a loss, not an acknowledgement', async () => {
      const held = await take('n1');
      expect(await store.flush(request(held, { trim: 1 }))).toBe('missing');
    });

    it('X12 forgets on demand', async () => {
      const held = await take('n1');
      await store.flush(request(held, { groups: new Map([['a', Buffer.from('1')]]) }));
      const forgotten = await take('n2', { forget: true });
      expect(forgotten).toMatchObject({ next: null, engine: null, groupCount: 0 });
      expect((await take('n3')).status).toBe('empty');
    });

    it('X8 keeps partitions apart', async () => {
      const zero = await take('n1');
      const one = await store.acquire(1, { nonce: 'm1', topicId: 'topic-1' });
      await store.flush(request(zero, { groups: new Map([['a', Buffer.from('zero')]]) }));
      await store.flush({ ...request(one), partition: 1, groups: new Map([['a', Buffer.from('one')]]) });
      expect(await groups()).toEqual(new Map([['a', 'zero']]));
    });

    it('X8 writes more groups than fit on the Lua stack in one atomic flush', async () => {
      const held = await take('n1');
      const many = new Map(Array.from({ length: 9_001 }, (_, i) => [`g${i}`, Buffer.from(String(i))] as const));
      const outbox = Array.from({ length: 8_500 }, (_, i) => Buffer.from(String(i)));
      expect(await store.flush(request(held, { groups: many, outbox }))).toBe('ok');
      const found = await groups();
      expect(found.size).toBe(9_001);
      expect(found.get('g9000')).toBe('9000');
      const again = await take('n2');
      const dead = new Map([...many.keys()].slice(0, 8_800).map((id) => [id, null] as const));
      expect(await store.flush(request(again, { groups: dead, trim: 8_499 }))).toBe('ok');
      expect((await groups()).size).toBe(201);
      expect((await take('n3')).outbox.map(String)).toEqual(['8499']);
    });
  });
}
