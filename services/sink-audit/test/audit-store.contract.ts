import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { RowRefusedError } from '../src/errors.ts';
import type { AuditStore } from '../src/ports.ts';
import { auditRow, draftOf, NOON_MS, partitionId } from './audit-row.fixture.ts';

/** The row content that `refusing` stores refuse, as a constraint of the database would. */
export const REFUSED_EVENT_TYPE = 'test.refused';

/** What every `AuditStore` must do; the memory and the PostgreSQL adapter pass the same bodies. */
export function describeAuditStore(name: string, create: () => Promise<AuditStore>): void {
  describe(`audit store: ${name}`, () => {
    it('X15 gives every owner a higher fence and the stored offset', async () => {
      const store = await create();
      const id = partitionId();
      expect(await store.acquire(id, 'one')).toEqual({
        fence: 1n,
        nextOffset: 0n,
        publishedOffset: 0n,
        previous: null,
      });
      const draft = draftOf(id, { fence: 1n, expected: 0 }, [auditRow(0), auditRow(1)]);
      expect(await store.append([draft])).toEqual([{ kind: 'committed', firstCopies: [null, null] }]);
      expect(await store.acquire(id, 'two')).toEqual({
        fence: 2n,
        nextOffset: 2n,
        publishedOffset: 0n,
        previous: null,
      });
    });

    it('X15 refuses an older fence and writes nothing of its draft', async () => {
      const store = await create();
      const id = partitionId();
      const old = await store.acquire(id, 'one');
      const current = await store.acquire(id, 'two');
      const rows = [auditRow(0)];
      expect(await store.append([draftOf(id, { fence: old.fence, expected: 0 }, rows)])).toEqual([{ kind: 'fenced' }]);
      expect(await store.append([draftOf(id, { fence: current.fence, expected: 0 }, rows)])).toMatchObject([
        { kind: 'committed' },
      ]);
    });

    it('X15 says `moved` when a commit whose answer was lost went through', async () => {
      const store = await create();
      const id = partitionId();
      const { fence } = await store.acquire(id, 'one');
      const draft = draftOf(id, { fence, expected: 0 }, [auditRow(0)]);
      await store.append([draft]);
      expect(await store.append([draft])).toEqual([{ kind: 'moved' }]);
      expect(await store.eventsBetween(id, { from: 0n, until: 9n })).toHaveLength(1);
    });

    it('X15 settles drafts of several partitions apart from each other', async () => {
      const store = await create();
      const [left, right] = [partitionId('security.events', 0), partitionId('security.events', 1)];
      const { fence } = await store.acquire(left, 'one');
      await store.acquire(right, 'other');
      await store.acquire(right, 'other');
      const drafts = [
        draftOf(right, { fence: 1n, expected: 0 }, [auditRow(0)]),
        draftOf(left, { fence, expected: 0 }, [auditRow(0)]),
      ];
      expect((await store.append(drafts)).map((outcome) => outcome.kind)).toEqual(['fenced', 'committed']);
    });

    it('never saw a partition: an append without a fence is refused', async () => {
      const store = await create();
      const draft = draftOf(partitionId(), { fence: 1n, expected: 0 }, [auditRow(0)]);
      expect(await store.append([draft])).toEqual([{ kind: 'fenced' }]);
    });

    it('X5 names the earlier topic id of a topic that was made again, and starts at 0', async () => {
      const store = await create();
      const topic = `security.events-${randomUUID()}`;
      const before = partitionId(topic);
      const { fence } = await store.acquire(before, 'one');
      await store.append([draftOf(before, { fence, expected: 0 }, [auditRow(0)])]);
      const after = partitionId(topic);
      expect(await store.acquire(after, 'one')).toEqual({
        fence: 1n,
        nextOffset: 0n,
        publishedOffset: 0n,
        previous: { topicId: before.topicId, nextOffset: 1n },
      });
      expect(await store.acquire(after, 'one')).toMatchObject({ previous: null });
    });

    it('X6 flags copies within a batch and across batches with the first offset', async () => {
      const store = await create();
      const id = partitionId();
      const { fence } = await store.acquire(id, 'one');
      const first = [auditRow(0, { recordKey: 'a' }), auditRow(1, { recordKey: 'b' }), auditRow(2, { recordKey: 'a' })];
      expect(await store.append([draftOf(id, { fence, expected: 0 }, first)])).toEqual([
        { kind: 'committed', firstCopies: [null, null, 0n] },
      ]);
      const second = [
        auditRow(3, { recordKey: 'b' }),
        auditRow(4, { recordKey: 'c' }),
        auditRow(5, { recordKey: 'a' }),
      ];
      expect(await store.append([draftOf(id, { fence, expected: 3 }, second)])).toEqual([
        { kind: 'committed', firstCopies: [1n, null, 0n] },
      ]);
      const events = await store.eventsBetween(id, { from: 0n, until: 6n });
      expect(events.map((event) => event.offset)).toEqual([0n, 1n, 4n]);
    });

    it('X6 looks for copies in the own partition and within seven days of append time only', async () => {
      const store = await create();
      const [left, right] = [partitionId('security.events', 0), partitionId('security.events', 1)];
      const ours = await store.acquire(left, 'one');
      const theirs = await store.acquire(right, 'one');
      const day = 86_400_000;
      await store.append([draftOf(left, { fence: ours.fence, expected: 0 }, [auditRow(0, { recordKey: 'a' })])]);
      await store.append([draftOf(right, { fence: theirs.fence, expected: 0 }, [auditRow(0, { recordKey: 'a' })])]);
      const later = [
        auditRow(1, { recordKey: 'a', recordedAtMs: NOON_MS + 7 * day }),
        auditRow(2, { recordKey: 'a', recordedAtMs: NOON_MS + 7 * day + 1 }),
      ];
      expect(await store.append([draftOf(left, { fence: ours.fence, expected: 1 }, later)])).toEqual([
        { kind: 'committed', firstCopies: [0n, 1n] },
      ]);
      expect((await store.eventsBetween(right, { from: 0n, until: 1n })).map((event) => event.offset)).toEqual([0n]);
    });

    it('moves the offset over failures, markers and gaps without rows', async () => {
      const store = await create();
      const id = partitionId();
      const { fence } = await store.acquire(id, 'one');
      const failure = {
        offset: 12n,
        recordedAtMs: NOON_MS,
        stage: 'decode',
        reason: 'undecodable' as const,
        detail: 'truncated',
        rawSha256: Buffer.alloc(32),
        rawBytes: 3,
      };
      const gaps = [{ from: 0n, to: 10n, reason: 'retention' as const }];
      const draft = draftOf(id, { fence, expected: 0 }, [auditRow(11)], {
        next: 13n,
        failures: [failure],
        gaps,
        markers: 1,
        publishedOffset: 0n,
      });
      expect(await store.append([draft])).toMatchObject([{ kind: 'committed' }]);
      expect(await store.acquire(id, 'one')).toMatchObject({ nextOffset: 13n });
    });

    it('marks what is published for the holder of the fence only', async () => {
      const store = await create();
      const id = partitionId();
      const { fence } = await store.acquire(id, 'one');
      await store.append([draftOf(id, { fence, expected: 0 }, [auditRow(0)])]);
      expect(await store.markPublished(id, { fence, publishedOffset: 1n })).toBe(true);
      const next = await store.acquire(id, 'two');
      expect(next.publishedOffset).toBe(1n);
      expect(await store.markPublished(id, { fence, publishedOffset: 0n })).toBe(false);
    });

    it('rejects an append with a refused row, writes nothing, and finds the row', async () => {
      const store = await create();
      const id = partitionId();
      const { fence } = await store.acquire(id, 'one');
      const rows = Array.from({ length: 21 }, (_, offset) =>
        auditRow(offset, offset % 8 === 5 ? { eventType: REFUSED_EVENT_TYPE } : {}),
      );
      const draft = draftOf(id, { fence, expected: 0 }, rows);
      await expect(store.append([draft])).rejects.toBeInstanceOf(RowRefusedError);
      expect(await store.refusedRows(draft)).toEqual([5, 13]);
      expect(await store.acquire(id, 'one')).toMatchObject({ nextOffset: 0n });
      expect(await store.eventsBetween(id, { from: 0n, until: 99n })).toEqual([]);
    });

    it('proves that it can be written', async () => {
      const store = await create();
      await store.ensurePartitions();
      await expect(store.ping()).resolves.toBeUndefined();
      await expect(store.ensurePartitions()).resolves.toEqual([]);
    });
  });
}
