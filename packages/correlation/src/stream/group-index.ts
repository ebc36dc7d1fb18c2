import type { StreamGroup, StreamLine } from './stream-group.ts';

/**
 * The groups of all rules of an organization that group by the same fields, by group key. An event often counts for several
 * of them: its key is looked up once, and its groups are found from each other, without another walk through a map that is
 * larger than the caches.
 */
export class GroupIndex {
  /** The first of the groups of a key; the others follow by `sibling`. */
  private readonly heads = new Map<string, StreamGroup>();
  private lastKey: string | null = null;
  private lastHead: StreamGroup | undefined;
  /** Watermark at which idle groups are let go next. */
  sweepMs = Number.NEGATIVE_INFINITY;
  /** Shortest span of its rules, ms. */
  spanMs = Number.POSITIVE_INFINITY;

  find(line: StreamLine, key: string): StreamGroup | undefined {
    let group: StreamGroup | null | undefined;
    if (this.lastKey === key) group = this.lastHead;
    else {
      group = this.heads.get(key);
      this.lastKey = key;
      this.lastHead = group;
    }
    while (group && group.line !== line) group = group.sibling;
    return group ?? undefined;
  }

  /** A group that `find` did not give. */
  add(group: StreamGroup): void {
    const head = this.heads.get(group.key);
    if (head === undefined) {
      this.heads.set(group.key, group);
      this.lastKey = group.key;
      this.lastHead = group;
    } else {
      group.sibling = head.sibling;
      head.sibling = group;
    }
  }

  remove(group: StreamGroup): void {
    const { key, sibling } = group;
    const head = this.heads.get(key);
    if (head === group) {
      if (sibling === null) this.heads.delete(key);
      else this.heads.set(key, sibling);
    } else {
      let before = head as StreamGroup;
      while (before.sibling !== group) before = before.sibling as StreamGroup;
      before.sibling = sibling;
    }
    group.sibling = null;
    this.lastKey = null;
  }

  /** In no particular order; the group at hand may be removed. */
  forEach(visit: (group: StreamGroup) => void): void {
    for (const head of this.heads.values()) {
      let group: StreamGroup | null = head;
      while (group !== null) {
        const next: StreamGroup | null = group.sibling;
        visit(group);
        group = next;
      }
    }
  }
}
