import type { AuditRow, PartitionId } from '../domain/audit-row.ts';
import { missingIn } from '../domain/coverage.ts';
import { candidateOf } from '../domain/detected.ts';
import { duplicateSinceMs, firstCopies } from '../domain/duplicates.ts';
import { RowRefusedError } from '../errors.ts';
import type { AppendOutcome, AuditStore, Failure, PartitionDraft } from '../ports.ts';

type StoredRow = { readonly id: PartitionId; readonly row: AuditRow; readonly firstCopy: bigint | null };

type OffsetRow = {
  readonly id: PartitionId;
  nextOffset: bigint;
  publishedOffset: bigint;
  fence: bigint;
  owner: string;
  rows: number;
  failures: number;
  markers: number;
  missing: bigint;
};

/** What a test may look at. */
export type MemoryAuditStore = AuditStore & {
  readonly rows: readonly StoredRow[];
  readonly failures: readonly (Failure & { readonly id: PartitionId })[];
  offset(id: PartitionId): Readonly<OffsetRow> | undefined;
};

/**
 * The store in memory, with the compare-and-swap of the real one. For tests and tools without a server. `refuses` plays
 * a constraint of the database.
 */
export function createMemoryAuditStore(
  options: { readonly refuses?: (row: AuditRow) => boolean } = {},
): MemoryAuditStore {
  const offsets = new Map<string, OffsetRow>();
  const rows: StoredRow[] = [];
  const failures: (Failure & { id: PartitionId })[] = [];
  const refuses = options.refuses ?? (() => false);

  function appendOne(draft: PartitionDraft): AppendOutcome {
    const at = offsets.get(keyOf(draft.id));
    if (!at || at.fence !== draft.fence) return { kind: 'fenced' };
    if (at.nextOffset !== draft.expected) return { kind: 'moved' };
    const earlier = rows.filter(({ id }) => keyOf(id) === keyOf(draft.id));
    const stored = new Map<number, bigint>();
    draft.rows.forEach((row, index) => {
      const copy = earlier.find((candidate) => isCopy(candidate.row, row));
      if (copy) stored.set(index, copy.row.origin.offset);
    });
    const copies = firstCopies(draft.rows, stored);
    rows.push(...draft.rows.map((row, index) => ({ id: draft.id, row, firstCopy: copies[index] ?? null })));
    failures.push(...draft.failures.map((failure) => ({ ...failure, id: draft.id })));
    at.nextOffset = draft.next;
    at.publishedOffset = draft.publishedOffset;
    at.rows += draft.rows.length;
    at.failures += draft.failures.length;
    at.markers += draft.markers;
    at.missing += missingIn(draft.gaps);
    return { kind: 'committed', firstCopies: copies };
  }

  return {
    rows,
    failures,
    offset: (id) => offsets.get(keyOf(id)),
    ensurePartitions: () => Promise.resolve([]),
    async acquire(id, owner) {
      const known = offsets.get(keyOf(id));
      if (known) {
        known.fence += 1n;
        known.owner = owner;
        return {
          fence: known.fence,
          nextOffset: known.nextOffset,
          publishedOffset: known.publishedOffset,
          previous: null,
        };
      }
      const before = [...offsets.values()].findLast(
        (other) => other.id.topic === id.topic && other.id.partition === id.partition,
      );
      const fresh = { id, nextOffset: 0n, publishedOffset: 0n, fence: 1n, owner };
      offsets.set(keyOf(id), { ...fresh, rows: 0, failures: 0, markers: 0, missing: 0n });
      const previous = before ? { topicId: before.id.topicId, nextOffset: before.nextOffset } : null;
      return { fence: 1n, nextOffset: 0n, publishedOffset: 0n, previous };
    },
    async append(drafts) {
      if (drafts.some((draft) => draft.rows.some(refuses))) throw new RowRefusedError(undefined, '23514');
      return drafts.map(appendOne);
    },
    refusedRows: (draft) => Promise.resolve(draft.rows.flatMap((row, index) => (refuses(row) ? [index] : []))),
    async eventsBetween(id, { from, until }) {
      return rows.flatMap((stored) => {
        const { offset } = stored.row.origin;
        if (keyOf(stored.id) !== keyOf(id) || offset < from || offset >= until) return [];
        const candidate = candidateOf(stored.row, stored.firstCopy);
        return candidate ? [candidate] : [];
      });
    },
    async markPublished(id, { fence, publishedOffset }) {
      const at = offsets.get(keyOf(id));
      if (!at || at.fence !== fence) return false;
      at.publishedOffset = publishedOffset;
      return true;
    },
    ping: () => Promise.resolve(),
  };
}

function isCopy(candidate: AuditRow, row: AuditRow): boolean {
  return (
    candidate.projection.recordKey === row.projection.recordKey &&
    candidate.projection.retentionClass === row.projection.retentionClass &&
    candidate.origin.recordedAtMs >= duplicateSinceMs(row)
  );
}

function keyOf(id: PartitionId): string {
  return `${id.topicId}/${id.partition}`;
}
